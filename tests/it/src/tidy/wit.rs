//! `wit/` is the public promise: it parses, every part of it says what it means, and what was released stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};
use wit_parser::{Docs, Resolve, TypeDef, TypeDefKind};

use super::{expect_none, root};

/// Released packages: the folder below `wit/`, and the SHA-256 over its files. A release adds a row, and nothing ever
/// changes one: policies that were built for it are still run.
const FROZEN: &[(&str, &str)] = &[];

#[test]
fn the_contract_parses_and_every_part_of_it_is_documented() {
    let mut resolve = Resolve::default();
    resolve
        .push_file(root().join("wit/policy.wit"))
        .expect("wit/policy.wit parses");
    expect_none("in wit/, these have no doc comment", undocumented(&resolve));
}

#[test]
fn released_packages_are_what_they_were() {
    expect_none(
        "frozen packages changed; a new power comes as a new interface",
        thawed(&root().join("wit"), FROZEN),
    );
}

#[test]
fn a_part_without_a_doc_comment_is_found() {
    let mut resolve = Resolve::default();
    resolve
        .push_str(
            "t.wit",
            "/// P.\npackage a:b;\n/// I.\ninterface i {\n/// R.\nrecord r { x: u8 }\n\
             /// V.\nvariant v { /// C.\n c, d(u8) }\nf: func();\n}\n",
        )
        .expect("parses");
    assert_eq!(undocumented(&resolve), ["i.f", "i.r.x", "i.v.d"]);
}

#[test]
fn a_changed_a_missing_and_an_unlisted_release_are_found() {
    let wit = tempfile::tempdir().expect("a folder");
    let release = wit.path().join("since-0.1.0");
    fs::create_dir(&release).expect("a folder");
    fs::write(release.join("policy.wit"), "package a:b;").expect("a file");
    let digest = folder_digest(&release);

    assert!(thawed(wit.path(), &[("since-0.1.0", &digest)]).is_empty());
    assert_eq!(thawed(wit.path(), &[]).len(), 1, "unlisted");
    assert_eq!(
        thawed(wit.path(), &[("since-0.1.0", &digest), ("since-0.2.0", "")]).len(),
        1,
        "missing"
    );
    fs::write(release.join("policy.wit"), "package a:c;").expect("a file");
    assert_eq!(
        thawed(wit.path(), &[("since-0.1.0", &digest)]).len(),
        1,
        "changed"
    );
}

/// Every interface, world, type, field, case and function without a doc comment, by name.
fn undocumented(resolve: &Resolve) -> Vec<String> {
    let mut bare = Vec::new();
    let mut look = |docs: &Docs, name: String| {
        if docs.is_empty() {
            bare.push(name);
        }
    };
    for (_, package) in resolve.packages.iter() {
        look(&package.docs, package.name.to_string());
    }
    for (_, world) in resolve.worlds.iter() {
        look(&world.docs, world.name.clone());
    }
    for (_, interface) in resolve.interfaces.iter() {
        let at = interface.name.clone().unwrap_or_default();
        look(&interface.docs, at.clone());
        for (name, function) in &interface.functions {
            look(&function.docs, format!("{at}.{name}"));
        }
        for (name, id) in &interface.types {
            let definition = &resolve.types[*id];
            // A `use` of another interface's type is documented there.
            if !matches!(definition.kind, TypeDefKind::Type(wit_parser::Type::Id(_))) {
                look(&definition.docs, format!("{at}.{name}"));
            }
            for (part, docs) in parts(definition) {
                look(docs, format!("{at}.{name}.{part}"));
            }
        }
    }
    bare.sort();
    bare
}

/// Fields, cases and flags.
fn parts(definition: &TypeDef) -> Vec<(&str, &Docs)> {
    match &definition.kind {
        TypeDefKind::Record(record) => record
            .fields
            .iter()
            .map(|field| (field.name.as_str(), &field.docs))
            .collect(),
        TypeDefKind::Variant(variant) => variant
            .cases
            .iter()
            .map(|case| (case.name.as_str(), &case.docs))
            .collect(),
        TypeDefKind::Enum(names) => names
            .cases
            .iter()
            .map(|case| (case.name.as_str(), &case.docs))
            .collect(),
        TypeDefKind::Flags(flags) => flags
            .flags
            .iter()
            .map(|flag| (flag.name.as_str(), &flag.docs))
            .collect(),
        _ => Vec::new(),
    }
}

/// Releases in `wit` that differ from `frozen`, that it does not list, or that are gone.
fn thawed(wit: &Path, frozen: &[(&str, &str)]) -> Vec<String> {
    let mut there: BTreeMap<String, String> = fs::read_dir(wit)
        .expect("wit/ can be read")
        .map(|entry| entry.expect("wit/ can be read").path())
        .filter(|path| path.is_dir())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some((name, folder_digest(&path)))
        })
        .collect();
    let mut findings = Vec::new();
    for (name, digest) in frozen {
        match there.remove(*name) {
            None => findings.push(format!("wit/{name} is gone")),
            Some(found) if found != *digest => {
                findings.push(format!("wit/{name} is {found}, and was {digest}"));
            }
            Some(_) => {}
        }
    }
    findings.extend(
        there.into_iter().map(|(name, digest)| {
            format!("wit/{name} has no row in FROZEN; its digest is {digest}")
        }),
    );
    findings
}

/// SHA-256 over names and contents, in order of the names.
fn folder_digest(folder: &Path) -> String {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a release can be read")
        .map(|entry| entry.expect("a release can be read").path())
        .collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let content = fs::read(&file).expect("a release holds plain files");
        digest.update(format!("{name}\0{}\0", content.len()));
        digest.update(content);
    }
    hex::encode(digest.finalize())
}
