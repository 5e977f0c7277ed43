//! Policies made up for tests: a core module in text form for each behaviour, made a component for the world in `wit/`.
//!
//! What a guest answers is laid out here as bytes, with offsets from the contract itself, so that a field added to it
//! needs no change.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod generate;
pub(crate) mod native;

use std::path::{Path, PathBuf};
use std::time::Duration;

use vigil_core::evidence::{Context, SourceFacts};
use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::session::{
    Attempts, IssueRef, Liveness, Lookup, OwnerEffects, PullRequestRef, Revision, Times,
};
use vigil_core::{Evidence, Fact, Session, SessionId, State, Timestamp};
use vigil_policy::{Engine, EngineConfig, Limits};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind, TypeId};

/// The moment of all tests.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// This repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The contract as it stands.
pub(crate) fn contract() -> String {
    std::fs::read_to_string(root().join("wit/policy.wit")).unwrap()
}

/// An engine without a cache.
pub(crate) fn engine() -> Engine {
    engine_with(|_| {})
}

/// An engine without a cache, under other limits.
pub(crate) fn engine_with(change: impl FnOnce(&mut Limits)) -> Engine {
    // Tests share two cores with whatever else runs: no deadline may fire by bad luck.
    let mut limits = Limits {
        deadline: Duration::from_secs(60),
        ..Limits::default()
    };
    change(&mut limits);
    Engine::new(EngineConfig {
        limits,
        ..EngineConfig::default()
    })
    .unwrap()
}

/// What a batch has in common.
pub(crate) fn context() -> Context {
    Context {
        now: NOW,
        booted_at: Some(Timestamp(NOW.0 - 86_400_000)),
        awake_since: None,
        source: SourceFacts {
            name: "home".into(),
            kind: "vigilante".into(),
            forge_host: "github.com".into(),
            fresh_for_ms: 1_800_000,
            final_labels: vec!["vigilante:done".into()],
            closed_pr_is_final: false,
            landing_branches: Vec::new(),
        },
    }
}

/// A running session on issue `number` whose pull request is merged.
pub(crate) fn merged(number: u64) -> Evidence {
    let silent = Timestamp(NOW.0 - 109 * 60_000);
    let repo = "acme/shop".to_owned();
    Evidence {
        session: Session {
            id: SessionId::new("home", format!("{repo}#{number}")),
            revision: Revision("r".into()),
            tracker: "github".into(),
            repo: Some(repo.clone()),
            issue: Some(number),
            branch: Some(format!("vigilante/issue-{number}")),
            base: Some("main".into()),
            pull_request: Some(number + 20),
            state: State::Running,
            native_state: "running".into(),
            times: Times {
                started: Some(silent),
                heartbeat: Some(silent),
                updated: Some(silent),
                ended: None,
            },
            liveness: Liveness {
                agent: Fact::absent_at(NOW),
                log_written: Fact::Found(silent),
                worktree_written: Fact::Found(silent),
                dirty: Fact::Found(false),
                unpushed: Fact::Found(0),
                ..Liveness::default()
            },
            attempts: Attempts::default(),
            tasks: Vec::new(),
            gaps: Vec::new(),
            readable: true,
            facts: Vec::new(),
            owner_says: None,
            owner_words: None,
            lookup: Lookup {
                issue: Ok(Some(IssueRef {
                    repo: repo.clone(),
                    number,
                })),
                pull_request: Ok(Some(PullRequestRef::by_number(repo, number + 20))),
            },
            owner_effects: OwnerEffects::default(),
        },
        issue: Fact::Found(Issue {
            open: false,
            reason: Some("completed".into()),
            labels: vec!["vigilante:done".into()],
            closed: Some(silent),
            ..Issue::bare(number, NOW)
        }),
        pull_request: Fact::Found(PullRequest {
            state: PullRequestState::Merged,
            merged: Some(silent),
            closed: Some(silent),
            url: format!("https://github.com/acme/shop/pull/{}", number + 20),
            head_ref: format!("vigilante/issue-{number}"),
            base_ref: "main".into(),
            head_sha: "4f".repeat(20),
            head_owner: Some("acme".into()),
            landed: Fact::Found(true),
            ..PullRequest::bare(number + 20, NOW)
        }),
        beyond_head: Fact::Found(0),
        passed_over: Vec::new(),
        siblings: Vec::new(),
    }
}

/// The mark of a session that a guest of [`Made::when_guilty`] goes wrong on.
pub(crate) const GUILTY: &str = "GUILTY!!";

/// A policy to be made.
pub(crate) struct Made {
    /// The contract that it is built for.
    pub(crate) wit: String,
    /// Code at the start of `decide`; `$count` is the number of sessions, `$answers` what will be returned.
    pub(crate) decide: String,
    /// Code at the start of `wants`.
    pub(crate) wants: String,
    /// Code at the start of `describe`.
    pub(crate) describe: String,
    /// Further fields of the module.
    pub(crate) fields: String,
    /// The case of the verdict, by number: 0 pass, 1 hold.
    pub(crate) verdict: u8,
    /// The rule that it names.
    pub(crate) rule: String,
    /// Its reason, any bytes.
    pub(crate) reason: Vec<u8>,
    /// Claimed length of the reason; `None`: as long as it is.
    pub(crate) reason_len: Option<u32>,
    /// What it leaves.
    pub(crate) memo: Option<String>,
    /// An error in place of the decision.
    pub(crate) error: Option<String>,
    /// The fact that it wants; empty: none.
    pub(crate) wanted: String,
    /// The rules that it describes.
    pub(crate) rules: Vec<String>,
    /// Its schema.
    pub(crate) schema: String,
    /// Pages of memory at the start.
    pub(crate) pages: u32,
}

impl Default for Made {
    fn default() -> Self {
        Made {
            wit: contract(),
            decide: String::new(),
            wants: String::new(),
            describe: String::new(),
            fields: String::new(),
            verdict: 1,
            rule: "made".into(),
            reason: b"because".to_vec(),
            reason_len: None,
            memo: None,
            error: None,
            wanted: "issue".into(),
            rules: vec!["made".into()],
            schema: String::new(),
            pages: 1,
        }
    }
}

/// Where the texts and templates lie; what is allocated comes after.
const DATA: u32 = 1024;

impl Made {
    /// A policy with `code` at the start of `decide`.
    pub(crate) fn deciding(code: &str) -> Self {
        Made {
            decide: code.into(),
            ..Made::default()
        }
    }

    /// A policy with `code` at the start of `decide` when one of the sessions is [`GUILTY`].
    pub(crate) fn when_guilty(code: &str) -> Self {
        let mark = u64::from_le_bytes(GUILTY.as_bytes().try_into().unwrap());
        Made::deciding(&format!(
            "(local.set $at (i32.const 0))
             (block $innocent (block $guilty (loop $next
               (br_if $innocent (i32.gt_u (i32.add (local.get $at) (i32.const 8)) (global.get $free)))
               (br_if $guilty (i64.eq (i64.load align=1 (local.get $at)) (i64.const {mark})))
               (local.set $at (i32.add (local.get $at) (i32.const 1)))
               (br $next)))
             {code})"
        ))
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        self.build_with("")
    }

    /// The component with further imports of its module.
    pub(crate) fn build_with(&self, imports: &str) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", &self.wit).unwrap();
        let world = resolve.select_world(&[package], Some("policy")).unwrap();
        let mut module = wat::parse_str(self.module(&resolve, imports)).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .unwrap()
            .encode()
            .unwrap()
    }

    fn module(&self, resolve: &Resolve, imports: &str) -> String {
        let layout = Layout::new(resolve);
        let mut data = Data::default();
        let answer = self.answer(&layout, &mut data);
        let wanted = self.wanted_list(&mut data);
        let description = self.description(&layout, &mut data);
        let Layout {
            context, result, ..
        } = layout;
        let free = (DATA as usize + data.bytes.len()).next_multiple_of(16);
        let interface = resolve
            .packages
            .iter()
            .next()
            .map(|(_, package)| {
                let version = package.name.version.as_ref().unwrap();
                format!(
                    "{}:{}/decider@{version}",
                    package.name.namespace, package.name.name
                )
            })
            .unwrap();
        let bytes: String = data
            .bytes
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        format!(
            r#"(module
  {imports}
  (memory (export "memory") {pages})
  (global $free (mut i32) (i32.const {free}))
  (data (i32.const {DATA}) "{bytes}")
  {fields}
  (func $alloc (param $align i32) (param $size i32) (result i32) (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
      unreachable))
    (local.get $at))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $alloc (local.get 2) (local.get 3)))
  ;; A list of $count copies of the $size bytes at $template, and the pair that names it.
  (func $copies (param $template i32) (param $size i32) (param $count i32) (result i32)
    (local $list i32) (local $pair i32) (local $nth i32)
    (local.set $list (call $alloc (i32.const 8) (i32.mul (local.get $size) (local.get $count))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $nth) (local.get $count)))
      (memory.copy
        (i32.add (local.get $list) (i32.mul (local.get $nth) (local.get $size)))
        (local.get $template) (local.get $size))
      (local.set $nth (i32.add (local.get $nth) (i32.const 1)))
      (br $next)))
    (local.set $pair (call $alloc (i32.const 4) (i32.const 8)))
    (i32.store (local.get $pair) (local.get $list))
    (i32.store offset=4 (local.get $pair) (local.get $count))
    (local.get $pair))
  (func (export "{interface}#describe") (result i32) (local $at i32)
    {describe}
    (i32.const {description}))
  (func (export "{interface}#wants") (param $args i32) (result i32) (local $count i32) (local $at i32)
    (local.set $count (i32.load offset={count} (local.get $args)))
    {wants}
    (call $copies (i32.const {wanted}) (i32.const 8) (local.get $count)))
  (func (export "{interface}#decide") (param $args i32) (result i32)
    (local $count i32) (local $answers i32) (local $at i32)
    (local.set $count (i32.load offset={count} (local.get $args)))
    (local.set $answers (local.get $count))
    {decide}
    (call $copies (i32.const {answer}) (i32.const {result}) (local.get $answers))))"#,
            pages = self.pages,
            fields = self.fields,
            describe = self.describe,
            wants = self.wants,
            decide = self.decide,
            count = context + 4,
        )
    }

    /// The `result<decision, string>` that every session gets.
    fn answer(&self, layout: &Layout, data: &mut Data) -> u32 {
        let mut bytes = vec![0; layout.result];
        if let Some(error) = &self.error {
            bytes[0] = 1;
            data.name(&mut bytes[layout.result_payload..], error.as_bytes(), None);
        } else {
            let decision = &mut bytes[layout.result_payload..];
            decision[layout.field("verdict")] = self.verdict;
            data.name(
                &mut decision[layout.field("rule")..],
                self.rule.as_bytes(),
                None,
            );
            data.name(
                &mut decision[layout.field("reason")..],
                &self.reason,
                self.reason_len,
            );
            if let Some(memo) = &self.memo {
                let option = &mut decision[layout.field("memo")..];
                option[0] = 1;
                data.name(&mut option[4..], memo.as_bytes(), None);
            }
        }
        data.put(&bytes)
    }

    /// The list of names that every session gets.
    fn wanted_list(&self, data: &mut Data) -> u32 {
        let mut list = [0; 8];
        if !self.wanted.is_empty() {
            let mut name = [0; 8];
            data.name(&mut name, self.wanted.as_bytes(), None);
            let at = data.put(&name);
            list[..4].copy_from_slice(&at.to_le_bytes());
            list[4] = 1;
        }
        data.put(&list)
    }

    fn description(&self, layout: &Layout, data: &mut Data) -> u32 {
        let mut rules = Vec::new();
        for rule in &self.rules {
            let mut pair = [0; 16];
            data.name(&mut pair, rule.as_bytes(), None);
            data.name(&mut pair[8..], b"Made up for a test.", None);
            rules.extend(pair);
        }
        let rules = data.put(&rules);
        let mut bytes = vec![0; layout.description];
        data.name(&mut bytes, b"made", None);
        data.name(&mut bytes[8..], b"1.0.0", None);
        bytes[16..20].copy_from_slice(&rules.to_le_bytes());
        bytes[20] = u8::try_from(self.rules.len()).unwrap();
        data.name(&mut bytes[24..], self.schema.as_bytes(), None);
        data.put(&bytes)
    }
}

/// Sizes and offsets in the contract's types.
struct Layout {
    context: usize,
    result: usize,
    result_payload: usize,
    description: usize,
    fields: Vec<(String, usize)>,
}

impl Layout {
    fn new(resolve: &Resolve) -> Self {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve).unwrap();
        let id = |name: &str| -> TypeId {
            resolve
                .types
                .iter()
                .find(|(_, ty)| {
                    ty.name.as_deref() == Some(name) && matches!(ty.kind, TypeDefKind::Record(_))
                })
                .map(|(id, _)| id)
                .unwrap()
        };
        let decision = id("decision");
        let TypeDefKind::Record(record) = &resolve.types[decision].kind else {
            panic!("decision is a record");
        };
        let fields = sizes
            .field_offsets(record.fields.iter().map(|field| &field.ty))
            .into_iter()
            .zip(&record.fields)
            .map(|((offset, _), field)| (field.name.clone(), offset.size_wasm32()))
            .collect();
        let align = sizes.align(&Type::Id(decision)).align_wasm32();
        Layout {
            context: sizes.size(&Type::Id(id("context"))).size_wasm32(),
            result: sizes.size(&Type::Id(decision)).size_wasm32() + align,
            result_payload: align,
            description: sizes.size(&Type::Id(id("description"))).size_wasm32(),
            fields,
        }
    }

    fn field(&self, name: &str) -> usize {
        self.fields
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, offset)| *offset)
            .unwrap()
    }
}

/// The module's data, from [`DATA`] on.
#[derive(Default)]
struct Data {
    bytes: Vec<u8>,
}

impl Data {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = DATA + u32::try_from(self.bytes.len()).unwrap();
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// Writes place and length of `text` to the beginning of `pair`.
    fn name(&mut self, pair: &mut [u8], text: &[u8], len: Option<u32>) {
        let at = self.put(text);
        let len = len.unwrap_or(u32::try_from(text.len()).unwrap());
        pair[..4].copy_from_slice(&at.to_le_bytes());
        pair[4..8].copy_from_slice(&len.to_le_bytes());
    }
}
