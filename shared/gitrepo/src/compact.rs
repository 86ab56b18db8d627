//! Many small packs into one. Each fetch brings a pack of its own, and a lookup asks them one after the other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::Oid;

/// So many packs are left alone.
const MOST: usize = 24;
/// A pack this many times as large as all smaller ones together is left alone, too: what was written stays, and each object
/// is written anew only a few times in the life of a cache.
const FACTOR: u64 = 2;

/// Packs the small packs of a cache into one, when there are many. Only safe under the cache's exclusive lock. Whoever reads
/// meanwhile finds every object at any moment, and a process that is killed leaves some of them twice at most.
///
/// # Errors
/// The disk says no, or a pack cannot be read; then everything is as before.
pub(crate) fn compact(git: &git2::Repository) -> Result<(), git2::Error> {
    let folder = git.commondir().join("objects/pack");
    let mut packs = packs(&folder).map_err(disk)?;
    if packs.len() <= MOST {
        return Ok(());
    }
    packs.sort_by_key(|pack| std::cmp::Reverse(pack.size));
    let (_, small) = packs.split_at(kept(&packs.iter().map(|pack| pack.size).collect::<Vec<_>>()));
    if small.len() < 2 {
        return Ok(());
    }
    let mut builder = git.packbuilder()?;
    builder.set_threads(1);
    for pack in small {
        for id in ids(&fs::read(&pack.index).map_err(disk)?)? {
            builder.insert_object(id, None)?;
        }
    }
    builder.write(&folder, 0)?;
    let written = builder.name()?.map(|name| format!("pack-{name}"));
    let Some(written) = written.filter(|name| folder.join(format!("{name}.idx")).is_file()) else {
        return Err(git2::Error::from_str("the new pack is not there"));
    };
    for pack in small {
        if pack
            .index
            .file_stem()
            .is_some_and(|stem| stem == written.as_str())
        {
            continue;
        }
        // A pack is seen by its index. Whoever has it open goes on reading it, and everybody else finds the new one.
        for extension in ["idx", "pack"] {
            match fs::remove_file(pack.index.with_extension(extension)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(error)),
                _ => {}
            }
        }
    }
    Ok(())
}

struct Pack {
    index: PathBuf,
    size: u64,
}

/// The packs of a folder. One that somebody left without its index is nobody's.
fn packs(folder: &Path) -> io::Result<Vec<Pack>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "pack") {
            continue;
        }
        let index = path.with_extension("idx");
        match index.is_file() {
            true => found.push(Pack {
                index,
                size: fs::metadata(&path)?.len(),
            }),
            false => fs::remove_file(&path)?,
        }
    }
    Ok(found)
}

/// How many of the packs, the largest first, are left alone.
fn kept(sizes: &[u64]) -> usize {
    let mut rest: u64 = sizes.iter().sum();
    sizes
        .iter()
        .take_while(|size| {
            rest -= **size;
            **size >= FACTOR.saturating_mul(rest)
        })
        .count()
}

/// The ids in the index of a pack, version 2: eight bytes of head, 256 counts of which the last is that of all, then the ids
/// (git's `gitformat-pack`).
fn ids(index: &[u8]) -> Result<Vec<Oid>, git2::Error> {
    const HEAD: &[u8] = b"\xfftOc\x00\x00\x00\x02";
    const FIRST: usize = 8 + 256 * 4;
    let torn = || git2::Error::from_str("the index of a pack is torn");
    let body = index.strip_prefix(HEAD).ok_or_else(torn)?;
    let last: [u8; 4] = body
        .get(FIRST - 12..FIRST - 8)
        .and_then(|count| count.try_into().ok())
        .ok_or_else(torn)?;
    let count = usize::try_from(u32::from_be_bytes(last)).map_err(|_| torn())?;
    let ids = index.get(FIRST..FIRST + count * 20).ok_or_else(torn)?;
    ids.chunks_exact(20).map(Oid::from_bytes).collect()
}

fn disk(error: io::Error) -> git2::Error {
    git2::Error::from_str(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_packs_are_left_alone() {
        assert_eq!(kept(&[1000, 10, 10, 10]), 1);
        assert_eq!(kept(&[1000, 100, 20, 20]), 2);
        assert_eq!(kept(&[10, 10, 10, 10]), 0);
        assert_eq!(kept(&[1000, 400, 200]), 0);
        assert_eq!(kept(&[]), 0);
    }

    #[test]
    fn an_index_that_is_none_is_no_index() {
        for index in [&b""[..], b"\xfftOc", &[0; 2000]] {
            assert!(ids(index).is_err());
        }
        let mut claims = b"\xfftOc\x00\x00\x00\x02".to_vec();
        claims.extend([0xff; 1024]);
        assert!(ids(&claims).is_err(), "more ids than bytes");
    }
}
