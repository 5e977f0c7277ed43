//! A policy in all but one thing: it is left a core module, and never made a component.

use vigil_guests::Fine;

vigil_sdk::export!(Fine);
