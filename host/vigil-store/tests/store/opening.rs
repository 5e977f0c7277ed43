//! The file, its rights, its schema, and what is refused.

use crate::common::{at, evidence, folder, id, moved, open};
use vigil_core::session::Revision;
use vigil_store::{Settled, Standing};

#[test]
fn a_transition_that_was_not_settled_is_found_after_a_crash() {
    let dir = folder();
    let evidence = evidence(299, at(0));
    let after = Revision("r2".into());
    let mut store = open(dir.path());
    let prepared = store.prepare(&[moved(&evidence, &after, at(0))]).unwrap();
    drop(store);

    let mut store = open(dir.path());
    let left = store.unsettled().unwrap();
    assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), prepared);
    assert_eq!(left[0].session, id(299));
    assert_eq!(left[0].standing, Standing::Prepared);
    assert!(
        store
            .settle(prepared[0], &Settled::Written { exclusive: true }, at(1))
            .unwrap()
    );
    assert_eq!(store.unsettled().unwrap(), []);
}
