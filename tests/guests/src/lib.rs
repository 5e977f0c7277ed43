//! Misbehaving policies, one for each way.
