//! A strict model of GitHub on loopback, for the demo and the tests.
