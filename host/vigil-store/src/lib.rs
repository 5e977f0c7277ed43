//! Journal, cache, leases and alerts on SQLite.
