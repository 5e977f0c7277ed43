//! Vigilante.
