//! A loaded policy, and the two questions that it is asked.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use bumpalo::Bump;
use vigil_core::evidence::Context;
use vigil_core::verdict::{Decision, PolicyFailure};
use vigil_core::{Evidence, Session};
use wasmtime::component::{ComponentExportIndex, InstancePre};

use crate::answer;
use crate::convert;
use crate::engine::Engine;
use crate::failure::{FailureKind, failure};
use crate::guest::{self, Guest};
use crate::limits::BATCH_SESSIONS_MAX;
use crate::settings::Settings;
use crate::v0_1_0::wit;

/// A policy that is ready to judge: compiled, linked, and tried once.
///
/// Judging computes and blocks for up to the deadline for each batch, and may be done from several threads at a time:
/// call it from `spawn_blocking`, never from an async thread.
pub struct Policy {
    pub(crate) engine: Engine,
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) settings: Settings,
    pub(crate) description: Description,
    pub(crate) sources_digest: Option<String>,
    pub(crate) from_cache: bool,
    pub(crate) linked: Linked,
    pub(crate) fuel: FuelMeter,
}

/// What a policy says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// Its own name; the configuration may give it another.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// In the order in which they are tried; never empty.
    pub rules: Vec<Rule>,
    /// The JSON schema of its settings, as text; empty: it has none.
    pub settings_schema: String,
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rule {
    /// Lower case with dashes, for example `merged-pr`.
    pub code: String,
    /// One sentence.
    pub sentence: String,
}

/// What one policy is asked about one session.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// All that is known.
    pub evidence: &'a Evidence,
    /// What this policy's last decision about the session left; `None`: nothing.
    pub memo: Option<&'a str>,
}

/// A policy's answer about one session, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its decision, or how it failed. `passes` is false: what a failure leads to is the chain's to say.
    pub answer: Result<Decision, PolicyFailure>,
    /// The fuel that it took, where the session was judged alone: the same on every run. `None`: it shared its call
    /// with others, or it failed.
    pub fuel: Option<u64>,
}

/// What a policy has used up since it was loaded, over all calls that ended with an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FuelUsed {
    /// Calls, each on an instance of its own.
    pub calls: u64,
    /// Their fuel together.
    pub total: u64,
    /// The dearest of them.
    pub most: u64,
}

/// A component with its exports found: what a fresh instance is made of.
pub(crate) struct Linked {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) describe: ComponentExportIndex,
    pub(crate) wants: ComponentExportIndex,
    pub(crate) decide: ComponentExportIndex,
}

#[derive(Default)]
pub(crate) struct FuelMeter {
    calls: AtomicU64,
    total: AtomicU64,
    most: AtomicU64,
}

/// Answers to one call, with the fuel that it took.
pub(crate) type Answers<T> = Result<(Vec<T>, u64), PolicyFailure>;

impl Policy {
    /// The name under which it was loaded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the component, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The settings as canonical JSON: an object, keys in order, no spaces.
    pub fn settings(&self) -> &str {
        &self.settings.json
    }

    /// SHA-256 of [`Policy::settings`], in hex.
    pub fn settings_digest(&self) -> &str {
        &self.settings.digest
    }

    /// What it says about itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The digest of the sources that it was built from, when its builder put one in.
    pub fn sources_digest(&self) -> Option<&str> {
        self.sources_digest.as_deref()
    }

    /// Its compiled code came from the cache.
    pub fn from_cache(&self) -> bool {
        self.from_cache
    }

    /// What it has used up so far.
    pub fn fuel_used(&self) -> FuelUsed {
        FuelUsed {
            calls: self.fuel.calls.load(Ordering::Relaxed),
            total: self.fuel.total.load(Ordering::Relaxed),
            most: self.fuel.most.load(Ordering::Relaxed),
        }
    }

    /// The names of the facts that each session needs, one answer for each, in order and without repeats.
    pub fn wants(
        &self,
        context: &Context,
        sessions: &[&Session],
    ) -> Vec<Result<Vec<String>, PolicyFailure>> {
        batched(sessions, |batch| self.wants_once(context, batch))
            .into_iter()
            .map(|(wanted, _)| wanted.and_then(answer::check_wants))
            .collect()
    }

    /// One answer for each question, in order.
    ///
    /// Questions go in batches of up to [`BATCH_SESSIONS_MAX`], each on a fresh instance; when a batch fails as a
    /// whole, its sessions are judged one by one, so that only the guilty one fails.
    pub fn decide(&self, context: &Context, questions: &[Question<'_>]) -> Vec<Judgement> {
        batched(questions, |batch| self.decide_once(context, batch))
            .into_iter()
            .map(|(answer, fuel)| Judgement {
                answer: answer.and_then(|answer| answer),
                fuel,
            })
            .collect()
    }

    /// Asks about `questions` in one call, without falling back. The outer error is the call's, the inner ones are
    /// those of single answers.
    pub(crate) fn decide_once(
        &self,
        context: &Context,
        questions: &[Question<'_>],
    ) -> Answers<Result<Decision, PolicyFailure>> {
        let arena = Bump::new();
        let (answers, fuel) =
            guest::with_fresh(&self.engine, &self.linked.pre, |store, instance| {
                let context = convert::context(context, &self.settings.json, &arena);
                let evidence: &[wit::Evidence<'_>] = arena.alloc_slice_fill_iter(
                    questions
                        .iter()
                        .map(|question| convert::evidence(question, &arena)),
                );
                let decide = instance.get_typed_func::<
                (wit::Context<'_>, &[wit::Evidence<'_>]),
                (Vec<Result<wit::Decision, String>>,),
            >(&mut *store, &self.linked.decide)?;
                Ok(decide.call(store, (context, evidence))?.0)
            })?;
        self.fuel.count(fuel);
        let answers = answer::one_each(answers, questions.len())?;
        let checked = answers
            .into_iter()
            .map(|answer| match answer {
                Ok(decision) => answer::check(
                    convert::decision(decision),
                    &self.description.rules,
                    self.engine.limits(),
                ),
                Err(said) => Err(failure(FailureKind::Error, &said)),
            })
            .collect();
        Ok((checked, fuel))
    }

    fn wants_once(&self, context: &Context, sessions: &[&Session]) -> Answers<Vec<String>> {
        let arena = Bump::new();
        let (wanted, fuel) =
            guest::with_fresh(&self.engine, &self.linked.pre, |store, instance| {
                let context = convert::context(context, &self.settings.json, &arena);
                let sessions: &[wit::Session<'_>] = arena.alloc_slice_fill_iter(
                    sessions
                        .iter()
                        .map(|session| convert::session(session, &arena)),
                );
                let wants = instance
                    .get_typed_func::<(wit::Context<'_>, &[wit::Session<'_>]), (Vec<Vec<String>>,)>(
                        &mut *store,
                        &self.linked.wants,
                    )?;
                Ok(wants.call(store, (context, sessions))?.0)
            })?;
        self.fuel.count(fuel);
        Ok((answer::one_each(wanted, sessions.len())?, fuel))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl FuelMeter {
    fn count(&self, fuel: u64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(fuel, Ordering::Relaxed);
        self.most.fetch_max(fuel, Ordering::Relaxed);
    }
}

/// Asks in batches; where a batch fails as a whole, asks about each of its members alone. Fuel is told for those that
/// were alone in their call.
fn batched<Q, A>(
    questions: &[Q],
    ask: impl Fn(&[Q]) -> Answers<A>,
) -> Vec<(Result<A, PolicyFailure>, Option<u64>)> {
    let alone = |question| match ask(std::slice::from_ref(question)) {
        Ok((mut answers, fuel)) => match answers.pop() {
            Some(answer) => (Ok(answer), Some(fuel)),
            None => (Err(failure(FailureKind::Nonsense, "gave no answer")), None),
        },
        Err(failed) => (Err(failed), None),
    };
    let mut all = Vec::with_capacity(questions.len());
    for batch in questions.chunks(BATCH_SESSIONS_MAX) {
        if let [question] = batch {
            all.push(alone(question));
            continue;
        }
        match ask(batch) {
            Ok((answers, _)) => all.extend(answers.into_iter().map(|answer| (Ok(answer), None))),
            Err(_) => all.extend(batch.iter().map(alone)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn only_the_guilty_one_of_a_batch_fails() {
        let sizes = RefCell::new(Vec::new());
        let answers = batched(&[1, 2, 3, 4], |batch: &[i32]| {
            sizes.borrow_mut().push(batch.len());
            if batch.contains(&3) {
                return Err(failure(FailureKind::Trap, "three"));
            }
            Ok((batch.to_vec(), 7))
        });
        let kinds: Vec<_> = answers.iter().map(|(answer, _)| answer.is_ok()).collect();
        assert_eq!(kinds, [true, true, false, true]);
        assert_eq!(answers[0].1, Some(7));
        assert_eq!(sizes.into_inner(), [4, 1, 1, 1, 1]);
    }

    #[test]
    fn a_batch_is_never_larger_than_its_bound() {
        let questions: Vec<usize> = (0..250).collect();
        let sizes = RefCell::new(Vec::new());
        let answers = batched(&questions, |batch| {
            sizes.borrow_mut().push(batch.len());
            Ok((batch.to_vec(), 1))
        });
        assert_eq!(sizes.into_inner(), [100, 100, 50]);
        let order: Vec<_> = answers
            .into_iter()
            .filter_map(|(answer, _)| answer.ok())
            .collect();
        assert_eq!(order, questions);
    }
}
