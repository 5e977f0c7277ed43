//! Drifts: what in a record is no longer true and can be put right without a change of state. A policy names them, and a
//! source knows how.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Lower case with dashes.
    pub name: &'static str,
    /// Whose word it is.
    pub marked_by: Marker,
}

/// Who put the mark into the record that is no longer true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The owner's process that started the session. While it lives, or may live, its mark is its own to take back.
    Supervisor,
    /// Nobody who would take it back: what is true tells by itself that it is wrong, whoever lives.
    Nobody,
}

/// Every drift there is. The contract's documentation is checked against it.
pub const REGISTRY: [Drift; 1] = [Drift {
    name: "maintenance-in-flight",
    marked_by: Marker::Supervisor,
}];

/// Whose word it is that the drifts of these names are in the record. Of several the strictest counts, and one that
/// nobody has registered counts as the supervisor's.
pub fn marker<'a>(names: impl IntoIterator<Item = &'a str>) -> Marker {
    let is_nobodys = |name| {
        let registered = REGISTRY.iter().find(|drift| drift.name == name);
        registered.is_some_and(|drift| drift.marked_by == Marker::Nobody)
    };
    match names.into_iter().all(is_nobodys) {
        true => Marker::Nobody,
        false => Marker::Supervisor,
    }
}
