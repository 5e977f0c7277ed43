//! From the author's one function to the three that the world exports.

use std::marker::PhantomData;

use crate::bindings::exports::vigil::policy::decider::Guest;
use crate::{Context, Decision, Description, Evidence, FactName, Rule, Session};

/// Who a policy is, and which rules it has. The host asks once, when it loads the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// What people call it. Never empty.
    pub name: &'static str,
    /// Its own version; `env!("CARGO_PKG_VERSION")` is a good choice.
    pub version: &'static str,
    /// Code and one sentence for each rule, in the order in which they are tried. Never empty. A decision that names
    /// a rule which is not listed here counts as nonsense, and holds the session.
    pub rules: &'static [(&'static str, &'static str)],
    /// A JSON schema of an object; empty: no settings. The host checks the settings before the policy sees them.
    pub settings_schema: &'static str,
}

/// A policy: a pure function of one session's evidence.
///
/// It must give the same answer for an evidence alone and among others; nothing but the arguments is there to make a
/// difference, as long as no `static` remembers anything.
pub trait Policy {
    /// Who this is.
    const ABOUT: About;

    /// The facts that `session` needs. Each costs a part of a request, an empty list costs nothing.
    ///
    /// The default asks for the issue and the pull request of every session that is not settled.
    fn wants(context: &Context, session: &Session) -> Vec<FactName> {
        let _ = context;
        if session.state.is_settled() {
            Vec::new()
        } else {
            vec![FactName::Issue, FactName::PullRequest]
        }
    }

    /// The decision about one session.
    fn decide(context: &Context, evidence: &Evidence) -> Decision;

    /// The decision, or why this policy cannot make one; then the host holds the session with that as its reason. To
    /// be overridden only by a policy that can fail, in place of a panic.
    fn try_decide(context: &Context, evidence: &Evidence) -> Result<Decision, String> {
        Ok(Self::decide(context, evidence))
    }
}

/// What [`crate::export!`] exports: the three functions of the world, over the author's one.
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Policy> Guest for Exported<P> {
    fn describe() -> Description {
        Description {
            name: P::ABOUT.name.to_owned(),
            version: P::ABOUT.version.to_owned(),
            rules: P::ABOUT
                .rules
                .iter()
                .map(|(code, sentence)| Rule {
                    code: (*code).to_owned(),
                    sentence: (*sentence).to_owned(),
                })
                .collect(),
            settings_schema: P::ABOUT.settings_schema.to_owned(),
        }
    }

    fn wants(context: Context, sessions: Vec<Session>) -> Vec<Vec<String>> {
        sessions
            .iter()
            .map(|session| {
                P::wants(&context, session)
                    .into_iter()
                    .map(String::from)
                    .collect()
            })
            .collect()
    }

    fn decide(context: Context, evidence: Vec<Evidence>) -> Vec<Result<Decision, String>> {
        evidence
            .iter()
            .map(|evidence| P::try_decide(&context, evidence))
            .collect()
    }
}

/// Makes a component of a type that implements [`Policy`]: `vigil_sdk::export!(MyPolicy);`, once in the crate.
///
/// It also installs an allocator that never frees. That is right for an instance which answers one batch and is
/// thrown away, and wrong for a library that is linked into something else; `export!(MyPolicy, allocator: std)` leaves
/// the standard library's in place. Outside `wasm32` nothing is exported and nothing is installed, so that the crate
/// can be linked into native tests.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static VIGIL_ALLOCATOR: $crate::Bump = $crate::Bump::new();

        $crate::export!($policy, allocator: std);
    };
    ($policy:ty, allocator: std) => {
        // Also where nothing is exported, a type that is no policy is an error.
        const _: fn(&$crate::Context, &$crate::Evidence) -> $crate::Decision =
            <$policy as $crate::Policy>::decide;
        #[cfg(target_arch = "wasm32")]
        type VigilExported = $crate::Exported<$policy>;
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!(VigilExported with_types_in $crate::bindings);
    };
}
