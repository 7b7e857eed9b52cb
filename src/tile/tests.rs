//! Tests of tiles, their paths and bundles.

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::code::Code;
use crate::hash::{Hash, leaf_hash};
use crate::limits::{CACHED_TILES_MAX, TREE_SIZE_MAX};
use crate::merkle::memory::MemoryNodes;
use crate::merkle::{LeafIndex, NodeSource, TreeSize, consistency, inclusion, root};

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

/// Tiles in memory, counting what is read.
#[derive(Default)]
struct MemoryTiles {
    tiles: BTreeMap<TilePath, Vec<u8>>,
    reads: Cell<usize>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such tile")]
struct NoSuchTile;

impl TileSource for MemoryTiles {
    type Error = NoSuchTile;

    fn read(&self, path: &TilePath) -> Result<Vec<u8>, NoSuchTile> {
        self.reads.set(self.reads.get() + 1);
        self.tiles.get(path).cloned().ok_or(NoSuchTile)
    }
}

/// The tiles of a tree that published a checkpoint at each of the sizes, the last of them included.
fn tiles_of(sizes: &[u64]) -> MemoryTiles {
    let mut tiles = MemoryTiles::default();
    let mut edge = TileEdge::empty();
    for size in sizes {
        for index in edge.size().get()..*size {
            edge.push(leaf(index), &mut |path, bytes| {
                assert_eq!(tiles.tiles.insert(path, bytes), None, "{path} came twice");
            });
        }
        tiles.tiles.extend(edge.partials());
    }
    tiles
}

#[test]
fn spells_paths_as_the_specification_does() {
    for (kind, index, width, text) in [
        (TileKind::Hashes(0), 0, 256, "tile/0/000"),
        (TileKind::Hashes(0), 999, 256, "tile/0/999"),
        (TileKind::Hashes(1), 1000, 256, "tile/1/x001/000"),
        (TileKind::Entries, 1_234_067, 256, "tile/entries/x001/x234/067"),
        (TileKind::Hashes(0), 1234, 5, "tile/0/x001/234.p/5"),
        (TileKind::Hashes(63), 273, 112, "tile/63/273.p/112"),
        (TileKind::Entries, u64::MAX, 255, "tile/entries/x018/x446/x744/x073/x709/x551/615.p/255"),
    ] {
        let path = TilePath::partial(kind, index, width).unwrap();
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
        assert_eq!(path.is_full(), width == 256);
        assert_eq!((path.kind(), path.index(), path.width()), (kind, index, width));
    }
}

#[test]
fn refuses_every_other_spelling() {
    use TilePathError::{Index, Level, Shape, Width};
    for (text, error) in [
        ("", Shape),
        ("tile", Shape),
        ("tile/", Shape),
        ("tile/0", Shape),
        ("/tile/0/000", Shape),
        ("Tile/0/000", Shape),
        ("tile/64/000", Level),
        ("tile/00/000", Level),
        ("tile/01/000", Level),
        ("tile/-1/000", Level),
        ("tile/+1/000", Level),
        ("tile//000", Level),
        ("tile/data/000", Level),
        ("tile/Entries/000", Level),
        ("tile/٣/000", Level),
        ("tile/999999999999/000", Level),
        ("tile/0/", Index),
        ("tile/0/0", Index),
        ("tile/0/00", Index),
        ("tile/0/0000", Index),
        ("tile/0/x000", Index),
        ("tile/0/x000/000", Index),
        ("tile/0/x000/x001/000", Index),
        ("tile/0/001/000", Index),
        ("tile/0/X001/000", Index),
        ("tile/0/x001/x000", Index),
        ("tile/0/x001//000", Index),
        ("tile/0/x001/000/", Index),
        ("tile/0/+01", Index),
        ("tile/0/-01", Index),
        ("tile/0/ 01", Index),
        ("tile/0/000 ", Index),
        ("tile/0/000\n", Index),
        ("tile/0/٠٠١", Index),
        ("tile/0/000.p", Index),
        ("tile/0/000.P/1", Index),
        ("tile/entries/x018/x446/x744/x073/x709/x551/616", Index),
        ("tile/0/x999/x999/x999/x999/x999/x999/x999/999", Index),
        ("tile/0/000.p/", Width),
        ("tile/0/000.p/0", Width),
        ("tile/0/000.p/01", Width),
        ("tile/0/000.p/256", Width),
        ("tile/0/000.p/+5", Width),
        ("tile/0/000.p/5/", Width),
        ("tile/0/000.p/5.p/5", Width),
        ("tile/0/000.p/99999999999999999999", Width),
    ] {
        assert_eq!(text.parse::<TilePath>(), Err(error), "{text:?}");
    }
    assert_eq!(Shape.code(), Code::Malformed);
}

#[test]
fn refuses_widths_and_levels_that_no_path_can_name() {
    let hashes = TileKind::Hashes(0);
    assert_eq!(TilePath::partial(hashes, 0, 0), Err(TilePathError::Width));
    assert_eq!(TilePath::partial(hashes, 0, 257), Err(TilePathError::Width));
    let too_high = TileKind::Hashes(64);
    assert_eq!(TilePath::partial(too_high, 0, 1), Err(TilePathError::Level));
    assert_eq!(TilePath::full(too_high, 0).to_string(), "tile/63/000");
}

#[test]
fn says_which_leaves_lie_under_a_tile() {
    for (text, start, end) in [
        ("tile/0/000", 0, 256),
        ("tile/0/001.p/5", 256, 261),
        ("tile/entries/x001/000.p/1", 256_000, 256_001),
        ("tile/1/000.p/17", 0, 17 * 256),
        ("tile/1/001", 65_536, 131_072),
        ("tile/7/000.p/255", 0, 255 << 56),
        ("tile/7/000", 0, u64::MAX),
        ("tile/63/000", 0, u64::MAX),
        ("tile/63/001", u64::MAX, u64::MAX),
        ("tile/entries/x018/x446/x744/x073/x709/x551/615", u64::MAX, u64::MAX),
    ] {
        let path: TilePath = text.parse().unwrap();
        assert_eq!(path.start(), LeafIndex::new(start), "start of {text}");
        assert_eq!(path.end(), TreeSize::new(end), "end of {text}");
    }
}

#[test]
fn lists_the_tiles_of_the_specification_s_example() {
    let listed: Vec<_> = paths(TreeSize::new(70_000)).map(|path| path.to_string()).collect();
    let full = (0..273).map(|index| format!("tile/0/{index:03}"));
    let bundles = (0..273).map(|index| format!("tile/entries/{index:03}"));
    let expected: Vec<_> = full
        .chain(["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"].map(String::from))
        .chain(bundles)
        .chain(["tile/entries/273.p/112".to_owned()])
        .collect();
    assert_eq!(listed, expected);

    let listed: Vec<_> = paths(TreeSize::new(256)).map(|path| path.to_string()).collect();
    assert_eq!(listed, ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]);
    assert_eq!(paths(TreeSize::EMPTY).count(), 0);
}

#[test]
fn lists_between_two_sizes_exactly_what_the_larger_adds() {
    let sizes = [0, 1, 2, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 65_537, 70_000];
    for old in sizes {
        for new in sizes {
            let between: Vec<_> = paths_between(TreeSize::new(old), TreeSize::new(new)).collect();
            let had: BTreeSet<_> = paths(TreeSize::new(old)).collect();
            let expected: Vec<_> =
                paths(TreeSize::new(new)).filter(|path| new > old && !had.contains(path)).collect();
            assert_eq!(between, expected, "{old} to {new}");
        }
    }
}

#[test]
fn lists_the_last_tiles_of_the_largest_tree() {
    let last = TreeSize::new(TREE_SIZE_MAX);
    let added: Vec<_> =
        paths_between(TreeSize::new(TREE_SIZE_MAX - 1), last).map(|path| path.to_string()).collect();
    // Of all levels only the lowest changes: 2^63 - 1 is 255 modulo 256.
    assert_eq!(
        added,
        ["tile/0/x036/x028/x797/x018/x963/967.p/255", "tile/entries/x036/x028/x797/x018/x963/967.p/255"]
    );
    assert_eq!(paths(TreeSize::new(u64::MAX)).take(3).count(), 3);
}

#[test]
fn writes_the_hashes_that_the_specification_puts_in_each_tile() {
    let sizes = [1, 5, 255, 256, 257, 600, 65_536, 66_000];
    let tiles = tiles_of(&sizes);
    let nodes: MemoryNodes = (0..66_000).map(leaf).collect();
    let mut expected = BTreeMap::new();
    for path in sizes.into_iter().flat_map(|size| paths(TreeSize::new(size))) {
        let TileKind::Hashes(level) = path.kind() else {
            continue;
        };
        let hashes = (0..u64::from(path.width()))
            .map(|offset| nodes.node(8 * level, path.index() * 256 + offset).unwrap())
            .flat_map(|hash| *hash.as_bytes());
        expected.insert(path, hashes.collect::<Vec<u8>>());
    }
    assert!(tiles.tiles == expected, "tiles differ");
}

#[test]
fn has_the_tree_s_root_at_every_size_and_resumes_from_partial_tiles() {
    let sizes: Vec<u64> = (1..=600).chain([65_535, 65_536, 65_537, 65_793]).collect();
    let tiles = tiles_of(&sizes);
    let mut edge = TileEdge::empty();
    assert_eq!(edge.root(), crate::hash::empty_root());
    let mut range = crate::merkle::range::CompactRange::empty();
    for index in 0..65_793 {
        edge.push(leaf(index), &mut |_, _| {});
        range.push(leaf(index));
        if sizes.contains(&(index + 1)) {
            assert_eq!(edge.root(), range.root(), "size {}", index + 1);
            let loaded = TileEdge::load(&tiles, edge.size()).unwrap();
            assert!(loaded == edge, "size {}", index + 1);
        }
    }
    assert_eq!(TileEdge::load(&tiles, TreeSize::EMPTY), Ok(TileEdge::empty()));
}

#[test]
fn refuses_to_load_an_edge_that_is_damaged_or_impossible() {
    let mut tiles = tiles_of(&[300]);
    let size = TreeSize::new(TREE_SIZE_MAX + 1);
    assert_eq!(TileEdge::load(&tiles, size), Err(EdgeError::TooLarge { size }));
    let error = TileEdge::load(&tiles, TreeSize::new(301)).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let path: TilePath = "tile/0/001.p/44".parse().unwrap();
    tiles.tiles.get_mut(&path).unwrap().pop();
    let error = TileEdge::load(&tiles, TreeSize::new(300)).unwrap_err();
    assert_eq!(error, EdgeError::Tile(TileError::Length { path, actual: 44 * 32 - 1 }));
    assert_eq!(error.code(), Code::Malformed);
}

#[test]
fn reads_every_node_of_a_tree_from_its_tiles() {
    for size in [1, 2, 255, 256, 257, 700, 65_600_u64] {
        let tiles = tiles_of(&[size]);
        let size = TreeSize::new(size);
        let from_tiles = TileNodes::new(&tiles, size);
        let nodes: MemoryNodes = (0..size.get()).map(leaf).collect();
        for level in 0..20_u8 {
            let count = size.get() >> level;
            for index in (0..count).filter(|index| count < 600 || index % 97 == 0 || index + 9 > count) {
                assert_eq!(from_tiles.node(level, index).ok(), nodes.node(level, index).ok());
            }
            let error = from_tiles.node(level, count).unwrap_err();
            assert_eq!(error, TileError::OutOfTree { level, index: count, size });
        }
        assert_eq!(root(&from_tiles, size), Ok(nodes.root()));
    }
}

#[test]
fn refuses_nodes_beyond_every_tree() {
    let tiles = tiles_of(&[10]);
    let nodes = TileNodes::new(&tiles, TreeSize::new(10));
    for (level, index) in [
        (0, 10),
        (0, 1000),
        (1, 5),
        (3, 1),
        (0, u64::MAX),
        (7, u64::MAX),
        (63, 0),
        (64, 0),
        (255, 1),
        (255, u64::MAX),
    ] {
        assert!(matches!(nodes.node(level, index), Err(TileError::OutOfTree { .. })));
    }
    assert_eq!(tiles.reads.get(), 0, "nothing is read for them");
}

#[test]
fn proves_inclusion_and_consistency_from_tiles() {
    let sizes = [1, 100, 256, 300, 70_000];
    let tiles = tiles_of(&sizes);
    let size = TreeSize::new(70_000);
    let nodes = TileNodes::new(&tiles, size);
    let head = root(&nodes, size).unwrap();
    for index in [0, 255, 256, 65_535, 65_536, 69_999] {
        let place = LeafIndex::new(index);
        let proof = inclusion::prove(&nodes, place, size).unwrap();
        inclusion::verify(&leaf(index), place, size, &proof, &head).unwrap();
    }
    for from in sizes.map(TreeSize::new) {
        let from_root = root(&TileNodes::new(&tiles, from), from).unwrap();
        let proof = consistency::prove(&nodes, from, size).unwrap();
        consistency::verify(from, &from_root, size, &head, &proof).unwrap();
    }
}

#[test]
fn takes_the_full_tile_where_the_partial_one_is_gone() {
    let mut tiles = tiles_of(&[100, 300]);
    let small = TreeSize::new(100);
    let expected = root(&TileNodes::new(&tiles, small), small).unwrap();
    let partial: TilePath = "tile/0/000.p/100".parse().unwrap();
    tiles.tiles.remove(&partial).unwrap();
    assert_eq!(root(&TileNodes::new(&tiles, small), small), Ok(expected));
    // The full tile reaches beyond the smaller tree, but nothing of that is given out.
    assert!(TileNodes::new(&tiles, small).node(0, 100).is_err());

    let mut edge = TileEdge::empty();
    (0..100).for_each(|index| edge.push(leaf(index), &mut |_, _| {}));
    assert_eq!(TileEdge::load(&tiles, small), Ok(edge));

    tiles.tiles.remove(&partial.to_full()).unwrap();
    let error = TileNodes::new(&tiles, small).node(0, 0).unwrap_err();
    assert_eq!(error, TileError::Source { path: partial, error: NoSuchTile });
    assert_eq!(error.code(), Code::Unavailable);
}

#[test]
fn refuses_tiles_of_the_wrong_length() {
    let path: TilePath = "tile/0/000.p/100".parse().unwrap();
    for length in [0, 1, 31, 99 * 32, 100 * 32 - 1, 100 * 32 + 1, 101 * 32, 256 * 32] {
        let mut tiles = MemoryTiles::default();
        tiles.tiles.insert(path, vec![0; length]);
        let error = TileNodes::new(&tiles, TreeSize::new(100)).node(0, 0).unwrap_err();
        assert_eq!(error, TileError::Length { path, actual: length });
    }
    assert_eq!(decode_hashes(&[0; 257 * 32]), None);
    assert_eq!(decode_hashes(&[]), None);
}

#[test]
fn reads_each_tile_once_and_keeps_a_bounded_number() {
    let size = TreeSize::new(100 * 256);
    let tiles = tiles_of(&[size.get()]);
    let nodes = TileNodes::new(&tiles, size);
    for index in 0..256 {
        nodes.node(0, index).unwrap();
    }
    assert_eq!(tiles.reads.get(), 1);
    for index in 0..size.get() {
        nodes.node(0, index).unwrap();
    }
    assert_eq!(tiles.reads.get(), 100);
    nodes.node(0, 0).unwrap();
    assert_eq!(tiles.reads.get(), 101, "INV-7: of 100 tiles only {CACHED_TILES_MAX} are kept");
}

#[test]
fn finds_a_flipped_bit_in_any_tile_of_a_proof() {
    let size = TreeSize::new(700);
    let place = LeafIndex::new(3);
    let intact = tiles_of(&[size.get()]);
    let head = root(&TileNodes::new(&intact, size), size).unwrap();
    for path in ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2"] {
        let mut tiles = tiles_of(&[size.get()]);
        tiles.tiles.get_mut(&path.parse().unwrap()).unwrap()[40] ^= 1;
        let nodes = TileNodes::new(&tiles, size);
        let proof = inclusion::prove(&nodes, place, size).unwrap();
        let verdict = inclusion::verify(&leaf(3), place, size, &proof, &head);
        assert_eq!(verdict.unwrap_err().code(), Code::Inconsistent, "{path}");
    }
}

#[test]
fn keeps_entries_of_any_length_in_a_bundle() {
    let entries = vec![vec![], vec![7], vec![1; 255], vec![2; 256], vec![3; 65_535]];
    let bytes = EntryBundle::encode(&entries).unwrap();
    assert_eq!(bytes[..5], [0, 0, 0, 1, 7]);
    assert_eq!(EntryBundle::decode(&bytes).unwrap(), entries);
}

#[test]
fn refuses_bundles_that_cannot_be_written() {
    let none: [&[u8]; 0] = [];
    assert_eq!(EntryBundle::encode(&none), Err(BundleError::Empty));
    assert_eq!(EntryBundle::encode(&vec![[0_u8]; 257]), Err(BundleError::TooManyEntries));
    let error = EntryBundle::encode(&[vec![0; 1], vec![0; 65_536]]).unwrap_err();
    assert_eq!(error, BundleError::EntryTooLong { position: 1 });
    assert_eq!(error.code(), Code::Limit);
}

#[test]
fn refuses_bundles_that_end_early_or_late() {
    use BundleError::{Empty, TooManyEntries, Truncated};
    for (bytes, error) in [
        (vec![], Empty),
        (vec![0], Truncated { position: 0 }),
        (vec![0, 1], Truncated { position: 0 }),
        (vec![0, 1, 9, 0], Truncated { position: 1 }),
        (vec![0, 1, 9, 0, 2, 9], Truncated { position: 1 }),
        (vec![255, 255, 1], Truncated { position: 0 }),
        (vec![0; 2 * 257], TooManyEntries),
        (vec![0; 2 * 256 + 1], Truncated { position: 256 }),
    ] {
        assert_eq!(EntryBundle::decode(&bytes), Err(error), "{} bytes", bytes.len());
    }
    assert_eq!(EntryBundle::decode(&[0; 2 * 256]).unwrap().len(), 256);
}

proptest! {
    #[test]
    fn parses_what_it_prints(level in 0..=64_u8, index: u64, shift in 0..64_u32, width in 1..=256_u16) {
        let kind = if level == 64 { TileKind::Entries } else { TileKind::Hashes(level) };
        let path = TilePath::partial(kind, index >> shift, width).unwrap();
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn prints_what_it_parses(text in "(tile/(entries|[0-9]{1,2})/(x?[0-9]{3}/){0,3}[0-9]{3}(\\.p/[0-9]{1,3})?)|.*") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
            let _ = (path.start(), path.end());
        }
    }

    #[test]
    fn encodes_what_it_decodes(bytes in proptest::collection::vec(0..4_u8, 0..200)) {
        if let Ok(entries) = EntryBundle::decode(&bytes) {
            prop_assert_eq!(EntryBundle::encode(&entries), Ok(bytes.clone()));
        }
    }

    #[test]
    fn adds_up_the_steps_between_sizes(a in 0..200_000_u64, b in 0..200_000_u64, c in 0..200_000_u64) {
        let mut sizes = [a, b, c];
        sizes.sort_unstable();
        let [a, b, c] = sizes.map(TreeSize::new);
        let steps: BTreeSet<_> = paths_between(a, b).chain(paths_between(b, c)).collect();
        prop_assert!(paths_between(a, c).all(|path| steps.contains(&path)));
    }
}
