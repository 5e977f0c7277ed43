//! The assertions that apps sign: RS256, issued in the past, good for ten minutes at most.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;

use crate::app::App;
use crate::message::Response;

/// The longest life of an assertion, in seconds: ten minutes, as GitHub says.
const LIFE_SECS_MAX: u64 = 600;

/// The app that signed the assertion, or GitHub's refusal.
pub(crate) fn issuer<'a>(
    apps: impl Iterator<Item = &'a App>,
    assertion: &str,
    now_ms: u64,
) -> Result<&'a App, Response> {
    let refused = |message: &str| Response::refusal(401, message);
    // Whose key fits is who signed it: an assertion that names another app is none of theirs.
    let signed = apps
        .filter_map(|app| Some((app, claims(app, assertion)?)))
        .next();
    let Some((app, claims)) = signed else {
        return Err(refused("A JSON web token could not be decoded"));
    };
    let issuer = match &claims["iss"] {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    if issuer != app.id.to_string() && issuer != app.client_id() {
        return Err(refused("'Issuer' claim ('iss') must be an Integer"));
    }
    let now_s = now_ms / 1000;
    if claims["iat"].as_u64().is_none_or(|issued| issued > now_s) {
        return Err(refused(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    match claims["exp"].as_u64() {
        Some(expires) if expires > now_s + LIFE_SECS_MAX => Err(refused(
            "'Expiration time' claim ('exp') is too far in the future",
        )),
        Some(expires) if expires > now_s => Ok(app),
        _ => Err(refused(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
             assertion expires",
        )),
    }
}

fn claims(app: &App, assertion: &str) -> Option<Value> {
    let key = DecodingKey::from_rsa_pem(app.public_key.as_bytes()).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    // The times are compared with the model's clock above, which the library does not know.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    Some(decode::<Value>(assertion, &key, &validation).ok()?.claims)
}
