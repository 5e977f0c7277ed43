//! What a policy file is, learned without compiling or running any of it.

use wasmparser::{BinaryReaderError, Parser, Payload};

use crate::error::LoadFault;
use crate::v0_1_0;

/// What a component says about itself from the outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Names of what it imports, in order.
    pub imports: Vec<String>,
    /// Names of what it exports, in order.
    pub exports: Vec<String>,
    /// The digest of the sources that it was built from, from its custom section `vigil:sources`; `None`: it carries
    /// none. Written by whoever built it: a note, no proof.
    pub sources_digest: Option<String>,
}

/// Builders put the digest of a policy's sources into this custom section, as text.
pub const SOURCES_SECTION: &str = "vigil:sources";

/// A digest in hex has 64 characters; a prefix such as `sha256:` may stand before it.
const SOURCES_DIGEST_BYTES_MAX: usize = 128;

/// Reads a component's imports, exports and custom sections. The whole file is parsed, so that a damaged one is found
/// here with its place.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, LoadFault> {
    if Parser::is_core_wasm(bytes) {
        return Err(LoadFault::CoreModule);
    }
    if !Parser::is_component(bytes) {
        return Err(LoadFault::NotWasm {
            begins: beginning(bytes),
        });
    }
    let damaged = |error: BinaryReaderError| LoadFault::Damaged {
        offset: error.offset(),
        what: first_line(error.message()),
    };
    let mut found = Inspection::default();
    // Modules and components inside have imports and exports of their own, which are the component's private matter.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found
                        .imports
                        .push(import.map_err(damaged)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found
                        .exports
                        .push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            // At any depth: a tool that wraps a module into a component leaves the module's sections inside.
            Payload::CustomSection(section)
                if section.name() == SOURCES_SECTION && found.sources_digest.is_none() =>
            {
                found.sources_digest = digest_text(section.data());
            }
            _ => {}
        }
    }
    Ok(found)
}

impl Inspection {
    /// Whether this host loads such a component: it is for a version of the package that the host knows, and asks for
    /// nothing but that package's types.
    pub fn check(&self) -> Result<(), LoadFault> {
        if !self.exports.iter().any(|name| name == v0_1_0::DECIDER) {
            return Err(LoadFault::WrongPackage {
                exports: self.exports.clone(),
            });
        }
        match self.imports.iter().find(|name| *name != v0_1_0::TYPES) {
            Some(import) => Err(LoadFault::ForeignImport {
                import: import.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// The section's text, when it can be a digest.
fn digest_text(data: &[u8]) -> Option<String> {
    let text = str::from_utf8(data).ok()?.trim();
    let plausible = !text.is_empty()
        && text.len() <= SOURCES_DIGEST_BYTES_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    plausible.then(|| text.to_owned())
}

/// The first bytes, for people: as text where they are text.
fn beginning(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(16)];
    if head.is_empty() {
        "it is empty".to_owned()
    } else if head
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ' || *byte == b'\n')
    {
        format!(
            "it begins with the text {:?}",
            String::from_utf8_lossy(head)
        )
    } else {
        format!("it begins with the bytes {}", hex::encode(head))
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
