//! Seeded simulation of the whole loop.
