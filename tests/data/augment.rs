use otjr::data::{SIDE, VALUES, augment::crop_and_flip};
use otjr::random::{Purpose, Stream, stream};

fn rng(index: u64) -> Stream {
    stream(1, Purpose::Augmentation, index)
}

/// A picture whose every pixel tells its place and plane, and none of them is black.
fn picture() -> Vec<u8> {
    (0..VALUES).map(|i| 1 + ((i / 1024) * 70 + (i / SIDE % SIDE) * 2 + i % SIDE % 7) as u8).collect()
}

#[test]
fn every_result_is_a_shift_over_black_and_perhaps_mirrored() {
    let picture = picture();
    let (mut shifts, mut flips) = (std::collections::BTreeSet::new(), 0);
    let mut out = vec![0.0; VALUES];
    for i in 0..400 {
        crop_and_flip(&picture, &mut rng(i), &mut out);
        let expected = |dx: i32, dy: i32, flip: bool| {
            (0..VALUES).all(|i| {
                let (plane, y, x) = (i / 1024, (i / SIDE % SIDE) as i32, (i % SIDE) as i32);
                let (x, y) = (if flip { 31 - x } else { x } + dx, y + dy);
                let inside = (0..32).contains(&x) && (0..32).contains(&y);
                let value = if inside { picture[plane * 1024 + (y * 32 + x) as usize] } else { 0 };
                out[i] == f32::from(value) / 255.0
            })
        };
        let all = (-4..=4).flat_map(|dx| (-4..=4).flat_map(move |dy| [(dx, dy, false), (dx, dy, true)]));
        let found: Vec<_> = all.filter(|&(dx, dy, flip)| expected(dx, dy, flip)).collect();
        assert_eq!(found.len(), 1);
        shifts.insert((found[0].0, found[0].1));
        flips += usize::from(found[0].2);
    }
    assert!(shifts.len() > 70, "only {} of 81 shifts in 400 draws", shifts.len());
    assert!((150..250).contains(&flips), "{flips} of 400 mirrored");
}

#[test]
fn the_stream_decides() {
    let picture = picture();
    let draw = |index| {
        let mut out = vec![f32::NAN; VALUES];
        crop_and_flip(&picture, &mut rng(index), &mut out);
        out
    };
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}
