use otjr::data::{
    IMAGE_LEN, IMAGE_SIZE,
    augment::{crop_and_flip, cut_out},
};
use otjr::random::{Stream, StreamId, stream};

fn rng(index: u64) -> Stream {
    stream(1, StreamId::Augmentation, index)
}

/// An image in which the value of each pixel identifies its position and plane. No pixel is black.
fn image() -> Vec<u8> {
    (0..IMAGE_LEN)
        .map(|i| 1 + ((i / 1024) * 70 + (i / IMAGE_SIZE % IMAGE_SIZE) * 2 + i % IMAGE_SIZE % 7) as u8)
        .collect()
}

#[test]
fn results_are_shifted_and_flipped_images() {
    let image = image();
    let (mut shifts, mut flips) = (std::collections::BTreeSet::new(), 0);
    let mut out = vec![0.0; IMAGE_LEN];
    for i in 0..400 {
        crop_and_flip(&image, &mut rng(i), &mut out);
        let expected = |dx: i32, dy: i32, flip: bool| {
            (0..IMAGE_LEN).all(|i| {
                let (plane, y, x) = (i / 1024, (i / IMAGE_SIZE % IMAGE_SIZE) as i32, (i % IMAGE_SIZE) as i32);
                let (x, y) = (if flip { 31 - x } else { x } + dx, y + dy);
                let inside = (0..32).contains(&x) && (0..32).contains(&y);
                let value = if inside { image[plane * 1024 + (y * 32 + x) as usize] } else { 0 };
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
fn results_depend_on_the_stream_only() {
    let image = image();
    let draw = |index| {
        let mut out = vec![f32::NAN; IMAGE_LEN];
        crop_and_flip(&image, &mut rng(index), &mut out);
        out
    };
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}

#[test]
fn a_square_is_cut_out_of_all_planes() {
    let mut sizes = std::collections::BTreeSet::new();
    for i in 0..200 {
        let mut image = vec![1.0; IMAGE_LEN];
        cut_out(8, &mut rng(i), &mut image);
        let planes: Vec<_> = image.chunks_exact(IMAGE_SIZE * IMAGE_SIZE).collect();
        assert!(planes[0] == planes[1]);
        assert!(planes[1] == planes[2]);
        let gray: Vec<usize> = (0..IMAGE_SIZE * IMAGE_SIZE).filter(|&i| planes[0][i] == 0.5).collect();
        let range = |values: Vec<usize>| values.iter().max().unwrap() - values.iter().min().unwrap() + 1;
        let [rows, columns] =
            [gray.iter().map(|i| i / IMAGE_SIZE).collect(), gray.iter().map(|i| i % IMAGE_SIZE).collect()].map(range);
        assert_eq!(gray.len(), rows * columns);
        assert!(planes[0].iter().all(|v| [0.5, 1.0].contains(v)));
        assert!(rows <= 8);
        assert!(columns <= 8);
        sizes.insert(gray.len());
    }
    assert_eq!(sizes.last(), Some(&64));
    assert!(sizes.len() > 1, "none reaches over the edge");
}
