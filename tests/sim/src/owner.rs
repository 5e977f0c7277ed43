//! What Vigilante does with its file meanwhile, as its commands do it: without any lock, and without asking.

use vigil_core::Timestamp;

use crate::cast::{self, Member};
use crate::rng::Rng;
use crate::text::{self, Layout, Raw};

/// The owner's next file, made from the present one. `earlier`: a text that it read some time ago; `None` stands for
/// a file that it would leave as it is.
pub fn next(
    present: &str,
    earlier: &str,
    members: &[Member],
    absent: &[Member],
    now: Timestamp,
    rng: &mut Rng,
) -> Option<String> {
    let mut records = text::parse(present).ok()?;
    let at = rng.place(records.len());
    match rng.below(12) {
        // One that loaded the sessions long ago saves what it has.
        0 => return Some(earlier.to_owned()),
        1 => {
            let member = absent.get(rng.place(absent.len()))?;
            let is_there = records.iter().any(|one| same_issue(one, &member.record));
            if is_there {
                return None;
            }
            records.push(member.record.clone());
        }
        2 if records.len() > 2 => drop(records.remove(at)),
        3 => {
            let twice = records.get(at)?.clone();
            if records.len() > 6 {
                return None;
            }
            records.push(twice);
        }
        4 => {
            return Some(text::render(
                &records,
                *rng.pick(&[Layout::Compact, Layout::Odd, Layout::Indented]),
            ));
        }
        5 => records
            .get_mut(at)?
            .set("newer_field", format!("[{}, 1E+2]", rng.below(9))),
        back @ (6 | 10) => {
            // Set back to what it was.
            let record = records.get_mut(at)?;
            let member = members
                .iter()
                .find(|member| same_issue(&member.record, record))?;
            *record = member.record.clone();
            // The owner means it: it has written the record anew. Otherwise these are old bytes.
            if back == 6 {
                record.set("updated_at", cast::moment(now));
            }
        }
        7 | 8 => {
            let record = records.get_mut(at)?;
            let known = !record.text("status").is_empty();
            if known {
                record.set("last_heartbeat_at", cast::moment(now));
            }
        }
        _ => {
            // Its own rounds: nothing about the work has changed.
            let record = records.get_mut(at)?;
            record.set("updated_at", cast::moment(now));
            record.set("next_comment_poll_at", cast::moment(now));
            record.set("pull_request_mergeable", r#""MERGE\u0041BLE""#);
        }
    }
    Some(text::render(&records, Layout::Indented))
}

fn same_issue(one: &Raw, other: &Raw) -> bool {
    one.get("issue_number") == other.get("issue_number") && one.get("repo") == other.get("repo")
}
