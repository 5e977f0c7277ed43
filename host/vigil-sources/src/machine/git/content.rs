//! Whether a file's content is what is committed, worked out without the programs that its attributes name.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use gix_object::Kind;
use sha2::{Digest as _, Sha256};
use vigil_core::fact::{Gap, GapKind};

use super::attributes::{Attributes, Value};
use super::config::Config;
use super::eol::{self, Ends};
use super::folder::io_gap;
use super::objects::Objects;
use super::oid::{self, Oid, Sum};

/// 32 MiB: a larger text is not converted.
const TEXT_BYTES_MAX: u64 = 32 << 20;

/// 64 MiB: of a file that a filter or another encoding stands behind, and that is not as long as it was, no more is read.
/// It is the same only where its owner wrote the stored form of it by hand.
const FILTERED_BYTES_MAX: u64 = 64 << 20;

/// 1 KiB: git-lfs takes no larger file for a pointer.
const POINTER_BYTES_MAX: usize = 1024;

/// A file that is to be compared.
pub(crate) struct Compared<'a> {
    pub(crate) file: File,
    pub(crate) size: u64,
    /// Where it lies, for people.
    pub(crate) path: &'a Path,
    pub(crate) attributes: &'a Attributes,
    pub(crate) config: &'a Config,
    /// A part of the configuration was not read.
    pub(crate) config_is_partial: bool,
    pub(crate) objects: &'a Objects,
    pub(crate) sum: Sum,
}

impl Compared<'_> {
    /// Whether the file is the same as the blob `oid`, as far as its size alone tells. `recorded` is the lower half of the
    /// size that it had when it was known to be the same, and 0 where nobody knows.
    pub(crate) fn by_size(&self, oid: &Oid, recorded: u32) -> Result<Option<bool>, Gap> {
        if let Some(pointer) = self.pointer(oid)?
            && self.size > POINTER_BYTES_MAX as u64
            && !pointer.extended
            && pointer.size != self.size
        {
            return Ok(Some(false));
        }
        if recorded == 0 || u64::from(recorded) == self.size & 0xffff_ffff {
            return Ok(None);
        }
        let filtered = match self.attributes.get("filter") {
            Some(Value::Text(filter)) => self.may_filter(filter),
            _ => false,
        };
        let recoded = matches!(
            self.attributes.get("working-tree-encoding"),
            Some(Value::Text(_))
        );
        let converted = eol::ends(self.attributes, self.config) != Ends::Keep
            || self.attributes.get("ident") == Some(&Value::True);
        let max = match (filtered || recoded, converted) {
            (true, _) => FILTERED_BYTES_MAX,
            (false, true) => TEXT_BYTES_MAX,
            // What is committed is what stood there, byte for byte.
            (false, false) => return Ok(Some(false)),
        };
        if self.size > max {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "{} is no longer as long as it was, and has more than {max} bytes that would have to be converted",
                    self.path.display()
                ),
            ));
        }
        Ok(None)
    }

    /// Whether git may have a filter of that name here.
    fn may_filter(&self, filter: &str) -> bool {
        self.config_is_partial || self.config.is_set("filter", filter, &["clean", "process"])
    }

    /// What git-lfs committed in place of the file. `None`: it committed nothing, or is not set up here.
    fn pointer(&self, oid: &Oid) -> Result<Option<Pointer>, Gap> {
        let is_lfs =
            matches!(self.attributes.get("filter"), Some(Value::Text(filter)) if filter == "lfs");
        if !is_lfs || !self.config.is_set("filter", "lfs", &["clean", "process"]) {
            return Ok(None);
        }
        let committed = self.objects.get(oid, Kind::Blob)?;
        Ok(match committed.len() <= POINTER_BYTES_MAX {
            true => Pointer::parse(&committed),
            false => None,
        })
    }

    /// Whether the file is the same as the blob `oid`. What only a filter could tell is a gap that names it.
    pub(crate) fn is(mut self, oid: &Oid) -> Result<bool, Gap> {
        // The same bytes are the same content, whatever stands in between: nothing in them could get lost.
        let (name, lfs) = self.sums()?;
        if name == *oid {
            return Ok(true);
        }
        if let Some(Value::Text(filter)) = self.attributes.get("filter") {
            let filter = filter.clone();
            if let Some(answer) = self.filtered(&filter, oid, &lfs)? {
                return Ok(answer);
            }
        }
        if let Some(Value::Text(encoding)) = self.attributes.get("working-tree-encoding") {
            return Err(Gap::new(
                GapKind::Unsupported,
                format!(
                    "{} is stored in another encoding than it is committed in ({encoding}), which vigil does not \
                     compare",
                    self.path.display()
                ),
            ));
        }
        let ends = eol::ends(self.attributes, self.config);
        let ids = self.attributes.get("ident") == Some(&Value::True);
        if ends == Ends::Keep && !ids {
            return Ok(false);
        }
        if self.size > TEXT_BYTES_MAX {
            return Err(Gap::new(
                GapKind::TooLarge,
                format!(
                    "{} has more than {TEXT_BYTES_MAX} bytes whose line ends would have to be converted",
                    self.path.display()
                ),
            ));
        }
        let mut content = self.content()?;
        let has_crlf = ends == Ends::Auto
            && content.contains(&b'\r')
            && eol::has_crlf(&self.objects.get(oid, Kind::Blob)?);
        content = eol::convert(content, ends, has_crlf);
        if ids {
            content = eol::without_ids(content);
        }
        let mut name = oid::blob(self.sum, content.len() as u64);
        name.update(&content);
        Ok(oid::finish(name, self.path)? == *oid)
    }

    /// What a file with a filter is, as far as that can be told without it. `None`: git has no such filter, and compares
    /// the content as it is.
    fn filtered(&self, filter: &str, oid: &Oid, lfs: &str) -> Result<Option<bool>, Gap> {
        let set_up = self.config.is_set("filter", filter, &["clean", "process"]);
        if filter == "lfs" && set_up {
            match self.pointer(oid)? {
                Some(pointer) if !pointer.extended => {
                    return Ok(Some(pointer.size == self.size && pointer.sum == lfs));
                }
                // Committed as it is, and the bytes differ.
                None => return Ok(Some(false)),
                Some(_) => {}
            }
        }
        if self.may_filter(filter) {
            return Err(Gap::new(
                GapKind::RunsCode,
                format!(
                    "{} cannot be compared with what is committed without running the filter {filter}",
                    self.path.display()
                ),
            ));
        }
        Ok(None)
    }

    /// The file's name as a blob, and its plain SHA-256 where that can matter.
    fn sums(&mut self) -> Result<(Oid, String), Gap> {
        let mut name = oid::blob(self.sum, self.size);
        let is_lfs =
            matches!(self.attributes.get("filter"), Some(Value::Text(filter)) if filter == "lfs");
        let mut plain = is_lfs.then(Sha256::new);
        let mut buffer = vec![0; 64 << 10];
        let mut left = self.size;
        loop {
            let read = self
                .file
                .read(&mut buffer)
                .map_err(|error| io_gap(self.path, &error))?;
            // One that grows meanwhile has another name in any case.
            if read == 0 || left == 0 {
                break;
            }
            left = left.saturating_sub(read as u64);
            name.update(&buffer[..read]);
            if let Some(plain) = &mut plain {
                plain.update(&buffer[..read]);
            }
        }
        let plain = plain.map(|sum| hex::encode(sum.finalize()));
        Ok((oid::finish(name, self.path)?, plain.unwrap_or_default()))
    }

    fn content(&mut self) -> Result<Vec<u8>, Gap> {
        use std::io::Seek as _;
        let mut content = Vec::new();
        self.file
            .rewind()
            .and_then(|()| {
                (&mut self.file)
                    .take(TEXT_BYTES_MAX)
                    .read_to_end(&mut content)
            })
            .map_err(|error| io_gap(self.path, &error))?;
        Ok(content)
    }
}

/// What git-lfs commits in place of a file.
struct Pointer {
    sum: String,
    size: u64,
    /// Further programs stand between the file and the sum.
    extended: bool,
}

impl Pointer {
    fn parse(content: &[u8]) -> Option<Pointer> {
        let text = std::str::from_utf8(content).ok()?;
        let (mut version, mut sum, mut size, mut extended) = (false, None, None, false);
        for line in text.lines() {
            let (name, value) = line.split_once(' ')?;
            match name {
                "version" => {
                    version = matches!(
                        value,
                        "https://git-lfs.github.com/spec/v1" | "http://git-media.io/v/2"
                    );
                }
                "oid" => sum = value.strip_prefix("sha256:").map(str::to_owned),
                "size" => size = value.parse().ok(),
                name if name.starts_with("ext-") => extended = true,
                _ => {}
            }
        }
        version.then_some(Pointer {
            sum: sum?,
            size: size?,
            extended,
        })
    }
}
