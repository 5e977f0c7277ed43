use proptest::prelude::*;

use super::*;

/// An index of `version` with one entry for each of `entries`: how many bytes of the path before do not hold, and what
/// comes instead. `extensions` follow.
fn index(version: u32, entries: &[(u8, &[u8])], extensions: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"DIRC".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend((entries.len() as u32).to_be_bytes());
    for (dropped, name) in entries {
        let start = bytes.len();
        bytes.extend([0; 24]);
        bytes.extend(0o100_644_u32.to_be_bytes());
        bytes.extend([0; 12]);
        bytes.extend([7; 20]);
        bytes.extend((name.len().min(0xfff) as u16).to_be_bytes());
        if version == 4 {
            bytes.push(*dropped);
        }
        bytes.extend_from_slice(name);
        bytes.push(0);
        while version < 4 && !(bytes.len() - start).is_multiple_of(8) {
            bytes.push(0);
        }
    }
    for (name, content) in extensions {
        bytes.extend(*name);
        bytes.extend((content.len() as u32).to_be_bytes());
        bytes.extend(content);
    }
    bytes.extend([0; 20]);
    bytes
}

/// A part of the tree that is known, with `parts` parts of its own.
fn part(name: &[u8], parts: usize) -> Vec<u8> {
    [name, format!("\0{} {parts}\n", 1).as_bytes(), &[9; 20]].concat()
}

/// Which entries of another index no longer hold: `count` bits, packed into `words`.
fn bits(count: u32, words: &[u64]) -> Vec<u8> {
    let mut bytes = count.to_be_bytes().to_vec();
    bytes.extend((words.len() as u32).to_be_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend(0_u32.to_be_bytes());
    bytes
}

fn samples() -> Vec<Vec<u8>> {
    let tree = [part(b"", 2), part(b"sub", 0), part(b"sub2", 0)].concat();
    let link = [
        vec![5; 20],
        bits(70, &[1 << 33, 0b101]),
        bits(3, &[1 << 33, 0b010]),
    ]
    .concat();
    let names: &[(u8, &[u8])] = &[(0, b"a"), (1, b"sub/b"), (1, b"c"), (5, b"sub2/d")];
    vec![
        index(2, names, &[(b"TREE", tree.clone())]),
        index(3, names, &[(b"link", link.clone())]),
        index(4, names, &[(b"TREE", tree), (b"UNTR", vec![1, 2])]),
        index(4, &[(0, b""), (0, b"x")], &[(b"link", link)]),
    ]
}

#[test]
fn every_form_is_read() {
    for bytes in samples().iter().take(3) {
        parse(bytes, Sum::Sha1).expect("it reads");
    }
    let (read, _) = parse(&samples()[2], Sum::Sha1).expect("it reads");
    let paths: Vec<&[u8]> = read
        .entries()
        .iter()
        .map(|entry| read.path(entry))
        .collect();
    assert_eq!(paths, [&b"a"[..], b"sub/b", b"sub/c", b"sub2/d"]);
    let cached: Vec<&[u8]> = read
        .cached
        .iter()
        .map(|part| part.path.as_slice())
        .collect();
    assert_eq!(cached, [&b""[..], b"sub", b"sub2"]);
}

#[test]
fn more_bits_than_entries_are_damage() {
    let (base, _) = parse(&samples()[0], Sum::Sha1).expect("it reads");
    let count = base.entries.len();
    let read = |bytes: &[u8]| marked(Some(&Bytes(bytes).bits().expect("bits")), count);
    assert_eq!(
        read(&bits(4, &[1 << 33, 0b1010])),
        Ok(vec![false, true, false, true])
    );
    assert_eq!(read(&bits(5, &[1 << 33, 0b10000])), Err(Fault::Damaged));
    // A run of four thousand million.
    assert_eq!(read(&bits(u32::MAX, &[0x1_ffff_ffff])), Err(Fault::Damaged));
    assert!(Bytes(&bits(5, &[])[..6]).bits().is_err());
    assert_eq!(marked(None, 2), Ok(vec![false; 2]));
}

#[test]
fn a_few_bytes_cannot_stand_for_very_many() {
    // Folders in one another, a hundred thousand deep: with the path of each this were ten thousand million bytes.
    let deep = part(b"a", 1).repeat(100_000);
    let bytes = index(2, &[], &[(b"TREE", deep)]);
    assert_eq!(parse(&bytes, Sum::Sha1).err(), Some(Fault::Damaged));
    // Those of which nothing is known take no memory at all.
    let deep = b"a\0-1 1\n".repeat(100_000);
    let bytes = index(2, &[], &[(b"TREE", deep)]);
    assert!(parse(&bytes, Sum::Sha1).is_ok());
    // A long path, and many that are the same but for their ends.
    let long = "x".repeat(100_000);
    let mut entries: Vec<(u8, &[u8])> = vec![(0, long.as_bytes())];
    entries.extend([(1, &b"y"[..]); 10_000]);
    let bytes = index(4, &entries, &[]);
    assert_eq!(parse(&bytes, Sum::Sha1).err(), Some(Fault::Damaged));
    // Four thousand million entries.
    let mut bytes = samples()[0].clone();
    bytes[8..12].fill(0xff);
    assert_eq!(parse(&bytes, Sum::Sha1).err(), Some(Fault::Damaged));
}

proptest! {
    #[test]
    fn a_damaged_index_is_a_fault_or_another_index(
        sample in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = samples()[sample].clone();
        for (place, byte) in changes {
            *place.get_mut(&mut bytes) = byte;
        }
        if is_cut {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok((own, Some(split))) = parse(&bytes, Sum::Sha1) {
            let (base, _) = parse(&samples()[0], Sum::Sha1).expect("it reads");
            let _ = join(base, own, &split);
        }
    }
}
