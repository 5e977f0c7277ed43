//! What GitHub says: plan, ask, learn.
