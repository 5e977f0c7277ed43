//! From the core module that the compiler leaves to the component that is committed.

use anyhow::{Context, Result, bail};
use wasm_encoder::{ComponentSectionId, CustomSection, Encode, RawSection, Section};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

use super::list::{Artefact, Wrapping};
use super::sources;

/// The custom section that holds the digest of the sources.
const SOURCES_SECTION: &str = "vigil:sources";

/// What a policy may import: the types of its own package, which are no code.
const TYPES: &str = "vigil:policy/types@";

/// The bytes that are committed for `artefact`, of which `core` is the compiled module.
pub(super) fn finish(artefact: &Artefact, core: &[u8]) -> Result<Vec<u8>> {
    let bytes = match artefact.wrapping {
        Wrapping::None => strip(core, |_| false)?,
        Wrapping::Policy | Wrapping::AnyImports => {
            // The sections from which the component's types are made have to last until then.
            let lean = strip(core, |name| name.starts_with("component-type"))?;
            let component = ComponentEncoder::default()
                .validate(true)
                .module(&lean)?
                .encode()?;
            strip(&component, |_| false)?
        }
    };
    if artefact.wrapping == Wrapping::Policy {
        let foreign: Vec<String> = imports(&bytes)?
            .into_iter()
            .filter(|import| !import.starts_with(TYPES))
            .collect();
        if !foreign.is_empty() {
            bail!(
                "it imports {}; a policy imports nothing",
                foreign.join(", ")
            );
        }
    }
    Ok(with_digest(bytes, &sources::digest(artefact)?))
}

fn with_digest(mut bytes: Vec<u8>, digest: &str) -> Vec<u8> {
    let section = CustomSection {
        name: SOURCES_SECTION.into(),
        data: digest.as_bytes().into(),
    };
    bytes.push(section.id());
    section.encode(&mut bytes);
    bytes
}

/// The digest that a component or module carries at its outermost level.
pub(super) fn recorded_digest(bytes: &[u8]) -> Result<Option<String>> {
    let mut depth = 0_usize;
    let mut digest = None;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == SOURCES_SECTION => {
                let text = std::str::from_utf8(section.data()).context("the digest is no text")?;
                digest = Some(text.to_owned());
            }
            _ => {}
        }
    }
    Ok(digest)
}

/// The names of a component's own imports.
fn imports(bytes: &[u8]) -> Result<Vec<String>> {
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.push(import?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// `bytes` without any custom section, at any depth, whose name `keep` does not want: names and producers are of no
/// use at run time, and they differ between toolchains.
fn strip(bytes: &[u8], keep: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
    let mut enclosing: Vec<(ComponentSectionId, Vec<u8>)> = Vec::new();
    let mut output = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding, .. } => output.extend_from_slice(match encoding {
                Encoding::Module => &wasm_encoder::Module::HEADER,
                Encoding::Component => &wasm_encoder::Component::HEADER,
            }),
            Payload::ModuleSection { .. } => {
                enclosing.push((ComponentSectionId::CoreModule, std::mem::take(&mut output)));
                continue;
            }
            Payload::ComponentSection { .. } => {
                enclosing.push((ComponentSectionId::Component, std::mem::take(&mut output)));
                continue;
            }
            Payload::End(_) => {
                let Some((id, mut outer)) = enclosing.pop() else {
                    break;
                };
                outer.push(id as u8);
                output.encode(&mut outer);
                output = outer;
            }
            Payload::CustomSection(section) if !keep(section.name()) => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            let data = bytes
                .get(range)
                .context("a section reaches past the end of the file")?;
            output.push(RawSection { id, data }.id());
            RawSection { id, data }.encode(&mut output);
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{Component, Module, ModuleSection};

    fn custom<'a>(name: &'a str, data: &'a [u8]) -> CustomSection<'a> {
        CustomSection {
            name: name.into(),
            data: data.into(),
        }
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        Parser::new(0)
            .parse_all(bytes)
            .filter_map(|payload| match payload.unwrap() {
                Payload::CustomSection(section) => Some(section.name().to_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn stripping_reaches_into_the_module_and_keeps_what_is_wanted() {
        let mut module = Module::new();
        module.section(&custom("name", b"x"));
        module.section(&custom("component-type:policy", b"y"));
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        component.section(&custom("producers", b"z"));
        let bytes = component.finish();
        let kept = strip(&bytes, |name| name.starts_with("component-type")).unwrap();
        assert_eq!(names(&bytes).len(), 3);
        assert_eq!(names(&kept), ["component-type:policy"]);
    }

    #[test]
    fn the_digest_comes_back_and_an_inner_one_is_not_taken_for_it() {
        let mut module = Module::new();
        module.section(&custom(SOURCES_SECTION, b"inner"));
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        let bytes = component.finish();
        assert_eq!(recorded_digest(&bytes).unwrap(), None);
        let marked = with_digest(bytes, "outer");
        assert_eq!(recorded_digest(&marked).unwrap().as_deref(), Some("outer"));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        assert!(recorded_digest(b"\0asm\x0d\0\x01\0\xff").is_err());
    }
}
