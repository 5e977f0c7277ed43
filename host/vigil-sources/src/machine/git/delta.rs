//! Objects that are stored as their difference from others. Not by gix-pack (0.77), which keeps this part to itself.

/// `base` with the differences of `delta`, at most `bytes_max` bytes long.
pub(crate) fn apply(base: &[u8], delta: &[u8], bytes_max: u64) -> Result<Vec<u8>, &'static str> {
    let mut rest = delta;
    if size(&mut rest)? != base.len() as u64 {
        return Err("an object rests on another one than it was made from");
    }
    let wanted = size(&mut rest)?;
    if wanted > bytes_max {
        return Err("an object is too large to be looked at");
    }
    let wanted = usize::try_from(wanted).map_err(|_| "an object is too large to be looked at")?;
    let mut made = Vec::with_capacity(wanted);
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let part = if first & 0x80 != 0 {
            let mut number = |bits: std::ops::Range<u8>| {
                let mut number = 0_usize;
                for (place, bit) in bits.enumerate() {
                    if first & (1 << bit) != 0 {
                        number |= usize::from(byte(&mut rest)?) << (8 * place);
                    }
                }
                Ok::<usize, &'static str>(number)
            };
            let start = number(0..4)?;
            let length = match number(4..7)? {
                0 => 0x1_0000,
                length => length,
            };
            base.get(start..start + length)
        } else if *first != 0 {
            let (part, after) = rest
                .split_at_checked(usize::from(*first))
                .ok_or("a difference is cut short")?;
            rest = after;
            Some(part)
        } else {
            None
        };
        let part = part.ok_or("a difference does not fit")?;
        if made.len() + part.len() > wanted {
            return Err("a difference does not fit");
        }
        made.extend_from_slice(part);
    }
    if made.len() != wanted {
        return Err("a difference is cut short");
    }
    Ok(made)
}

fn byte(rest: &mut &[u8]) -> Result<u8, &'static str> {
    let (first, after) = rest.split_first().ok_or("a difference is cut short")?;
    *rest = after;
    Ok(*first)
}

/// Seven bits a byte, the smallest first.
fn size(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut size = 0;
    for shift in (0..63).step_by(7) {
        let next = byte(rest)?;
        size |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(size);
        }
    }
    Err("a size has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_copied_and_added_and_nothing_beyond_is_read() {
        let base = b"0123456789";
        let copy = |start: u8, length: u8| vec![0x80 | 0x01 | 0x10, start, length];
        let delta = [vec![10, 6], copy(8, 2), vec![2], b"ab".to_vec(), copy(0, 2)].concat();
        assert_eq!(apply(base, &delta, 100).as_deref(), Ok(&b"89ab01"[..]));
        for bad in [
            [vec![9, 2], copy(0, 2)].concat(),
            [vec![10, 2], copy(9, 2)].concat(),
            [vec![10, 3], copy(0, 2)].concat(),
            [vec![10, 1], copy(0, 2)].concat(),
            vec![10, 2, 2, b'a'],
            vec![10, 1, 0],
            vec![10],
            vec![],
            vec![10, 101, 0],
            vec![0xff; 12],
        ] {
            assert!(apply(base, &bad, 100).is_err(), "{bad:?}");
        }
    }
}
