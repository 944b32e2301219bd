//! Common corruptions, and the accuracy of a model on corrupted images.

use burn::tensor::Device;
use otjr::{
    attack::ModelOracle,
    checkpoint::Checkpoint,
    data::{Corruption, IMAGE_LEN, IMAGE_SIZE, ImageSet, corruption::SEVERITIES, synthetic},
    evaluate::{Tally, View, Views, wilson},
    model::Model,
    prediction::seen,
};

use crate::{ready, tests};

const PLANE: usize = IMAGE_SIZE * IMAGE_SIZE;

/// Returns the root mean squared difference, in levels of 0..=255.
fn distance(a: &[u8], b: &[u8]) -> f64 {
    let squared: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    (squared / a.len() as f64).sqrt()
}

/// Returns the corrupted image for each severity.
fn all(kind: Corruption, image: &[u8]) -> Vec<Vec<u8>> {
    (1..=SEVERITIES).map(|severity| kind.apply(severity, image, 3, 7)).collect()
}

fn gray(level: u8) -> Vec<u8> {
    vec![level; IMAGE_LEN]
}

/// Returns an image with all pixels of one color.
fn plain(rgb: [u8; 3]) -> Vec<u8> {
    rgb.into_iter().flat_map(|level| [level; PLANE]).collect()
}

/// Returns the color of an image with a single color.
fn color(image: &[u8]) -> [u8; 3] {
    let rgb = [image[0], image[PLANE], image[2 * PLANE]];
    assert_eq!(image, plain(rgb), "it is no longer plain");
    rgb
}

fn shipped() -> Model {
    let file = Checkpoint::from_bytes(include_bytes!("../../public/models/ce.safetensors")).unwrap();
    Model::from_arrays(&file.model_arrays(), &Device::flex()).unwrap()
}

tests! {
    /// Two exceptions: saturation decreases in two severities and increases in three, and two severities of motion blur
    /// differ only at the end of the kernel, by less than one level.
    fn each_severity_is_further_from_the_image() {
        let images = synthetic::generate(0, 1, 6).test;
        for &kind in Corruption::ALL {
            let mean = |severity| {
                let of = |i| distance(&kind.apply(severity, images.image(i), 3, i as u64), images.image(i));
                (0..images.len()).map(of).sum::<f64>() / images.len() as f64
            };
            let far: Vec<f64> = (1..=SEVERITIES).map(mean).collect();
            let runs = if kind == Corruption::Saturate { vec![&far[..2], &far[2..]] } else { vec![&far[..]] };
            for run in runs {
                let alike = |a, b| kind == Corruption::MotionBlur && [a, b] == [&far[2], &far[3]];
                assert!(run[0] > 0.0, "{kind} {far:?}");
                assert!(run.is_sorted_by(|a, b| a < b || alike(a, b)), "{kind} {far:?}");
            }
        }
    }

    /// Equal seed, image and index give equal bytes. Only random corruptions depend on seed and index.
    fn corruptions_are_functions_of_seed_and_number() {
        use Corruption::{Fog, GaussianNoise, ImpulseNoise, MotionBlur, ShotNoise};
        let image = synthetic::image(0, 1);
        let random = [GaussianNoise, ShotNoise, ImpulseNoise, MotionBlur, Fog];
        for &kind in Corruption::ALL {
            let made = kind.apply(3, &image, 3, 7);
            assert_eq!(made, kind.apply(3, &image, 3, 7), "{kind}");
            for other in [kind.apply(3, &image, 4, 7), kind.apply(3, &image, 3, 8)] {
                assert_eq!(made != other, random.contains(&kind), "{kind}");
            }
        }
    }

    /// The noise has the documented standard deviation and no bias.
    fn noise_has_the_documented_size() {
        let mean = |x: &[u8]| x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
        let close = |value: f64, expected: f64, share: f64| {
            assert!((value / expected - 1.0).abs() < share, "{value}, not {expected}");
        };
        // 6 % is five standard errors of a standard deviation measured on 3,072 values.
        for (severity, sigma) in [(1, 0.04), (2, 0.06), (3, 0.08), (4, 0.09), (5, 0.1)] {
            let noisy = Corruption::GaussianNoise.apply(severity, &gray(128), 0, 0);
            close(distance(&noisy, &gray(128)), 255.0 * sigma, 0.07);
            close(mean(&noisy), 128.0, 0.02);
        }
        for (severity, particles) in [(1, 500f64), (2, 250.0), (3, 100.0), (4, 75.0), (5, 50.0)] {
            let noisy = Corruption::ShotNoise.apply(severity, &gray(128), 0, 0);
            close(distance(&noisy, &gray(128)), 255.0 * (128.0 / 255.0 / particles).sqrt(), 0.07);
            close(mean(&noisy), 128.0, 0.02);
        }
        assert!(all(Corruption::ShotNoise, &gray(0)).iter().all(|x| *x == gray(0)), "no light, no particles");
        let mut before = Vec::new();
        for (x, share) in all(Corruption::ImpulseNoise, &gray(128)).iter().zip([0.01, 0.02, 0.03, 0.05, 0.07]) {
            let hit: Vec<usize> = (0..IMAGE_LEN).filter(|&i| x[i] != 128).collect();
            let white = hit.iter().filter(|&&i| x[i] == 255).count();
            assert!(hit.iter().all(|&i| x[i] == 0 || x[i] == 255));
            let expected = share * IMAGE_LEN as f64;
            assert!((hit.len() as f64 - expected).abs() < 4.0 * expected.sqrt(), "{} of {expected}", hit.len());
            assert!((white as f64 - hit.len() as f64 / 2.0).abs() < 2.0 * (hit.len() as f64).sqrt());
            assert!(before.iter().all(|i| hit.contains(i)), "a severity hits what the one before it did");
            before = hit;
        }
    }

    /// Blurs, pixelation, contrast and JPEG do not change images with a single color.
    fn plain_images_stay_plain() {
        use Corruption::{Contrast, DefocusBlur, GaussianBlur, MotionBlur, Pixelate};
        for rgb in [[0, 0, 0], [255, 255, 255], [17, 128, 201]] {
            for kind in [GaussianBlur, DefocusBlur, MotionBlur, Contrast, Pixelate] {
                assert!(all(kind, &plain(rgb)).iter().all(|x| *x == plain(rgb)), "{kind} {rgb:?}");
            }
        }
        assert!(all(Corruption::Fog, &gray(0)).iter().all(|x| *x == gray(0)), "nothing is brighter than the brightest");
    }

    fn brightness_is_added_to_the_brightest_channel() {
        for (x, amount) in all(Corruption::Brightness, &gray(100)).iter().zip([12.75f32, 25.5, 38.25, 51.0, 76.5]) {
            let [r, g, b] = color(x);
            // Rounded to the nearest level; ties may go either way.
            assert!(r == g, "{r} {amount}");
            assert!(g == b, "{r} {amount}");
            assert!((f32::from(r) - 100.0 - amount).abs() < 0.501, "{r} {amount}");
        }
        // 200 becomes 251 and the other channels keep their ratio to it; values are limited to white.
        assert_eq!(color(&Corruption::Brightness.apply(4, &plain([200, 50, 0]), 0, 0)), [251, 63, 0]);
        assert_eq!(color(&Corruption::Brightness.apply(5, &plain([250, 50, 0]), 0, 0)), [255, 51, 0]);
        assert_eq!(color(&Corruption::Brightness.apply(4, &gray(0), 0, 0)), [51; 3]);
    }

    fn contrast_shrinks_around_the_mean_of_a_channel() {
        let stripes: Vec<u8> = (0..IMAGE_LEN).map(|i| if i.is_multiple_of(2) { 50 } else { 150 }).collect();
        let expected = |i: usize| if i.is_multiple_of(2) { 80 } else { 120 };
        let flat = Corruption::Contrast.apply(3, &stripes, 0, 0);
        assert!((0..IMAGE_LEN).all(|i| flat[i] == expected(i)), "{:?}", &flat[..4]);
    }

    /// Saturation 0.5, multiplied by 0.3, 0.1 and 1.5. The last two severities reach the maximum of 1.
    fn saturation_keeps_the_brightest_channel() {
        let made: Vec<[u8; 3]> = all(Corruption::Saturate, &plain([200, 150, 100])).iter().map(|x| color(x)).collect();
        assert_eq!(made, [[200, 185, 170], [200, 195, 190], [200, 125, 50], [200, 100, 0], [200, 100, 0]]);
        assert_eq!(color(&Corruption::Saturate.apply(3, &gray(90), 0, 0)), [90; 3], "gray has no saturation to multiply");
    }

    /// A single bright pixel shows the kernel: its width, sum and direction.
    fn blurs_have_the_documented_kernels() {
        let mut point = gray(0);
        let (row, column) = (16, 16);
        (0..3).for_each(|plane| point[plane * PLANE + row * IMAGE_SIZE + column] = 255);
        let lit = |x: &[u8]| -> Vec<[i32; 2]> {
            let at = |i: usize| [(i % IMAGE_SIZE) as i32 - column as i32, (i / IMAGE_SIZE) as i32 - row as i32];
            (0..PLANE).filter(|&i| x[i] > 0).map(at).collect()
        };
        for kind in [Corruption::GaussianBlur, Corruption::DefocusBlur, Corruption::MotionBlur] {
            for x in all(kind, &point) {
                let sum: f64 = x[..PLANE].iter().map(|&v| f64::from(v)).sum();
                // Tolerance for the rounding of each pixel.
                assert!((sum - 255.0).abs() < 8.0, "{kind} {sum}");
            }
        }
        // The center of a Gaussian with sigma 1 is 1 / (2 pi); one pixel away it is smaller by a factor of sqrt(e).
        let bell = Corruption::GaussianBlur.apply(5, &point, 0, 0);
        assert_eq!([bell[row * IMAGE_SIZE + column], bell[row * IMAGE_SIZE + column + 1]], [41, 25]);
        assert!(lit(&bell).iter().all(|[x, y]| lit(&bell).contains(&[*y, *x])));
        // A disk of radius 1.5 has 3 x 3 pixels.
        let disc = Corruption::DefocusBlur.apply(5, &point, 0, 0);
        assert_eq!((lit(&disc).len(), disc[row * IMAGE_SIZE + column]), (9, 28));
        // Half a line with a slope of at most 45 degrees. A kernel to the right moves light to the left.
        let streak = lit(&Corruption::MotionBlur.apply(5, &point, 0, 0));
        assert!(streak.len() > 4, "{streak:?}");
        assert!(streak.iter().all(|[x, y]| *x <= 0 && y.abs() <= -x + 1), "{streak:?}");
    }

    /// Higher qualities are closer to the original, and smooth images hardly change.
    fn jpeg_is_ordered_by_quality() {
        let image = synthetic::image(0, 5);
        let far: Vec<f64> = all(Corruption::JpegCompression, &image).iter().map(|x| distance(x, &image)).collect();
        assert!(far.is_sorted(), "{far:?}");
        assert!(far[0] > 0.5, "{far:?}");
        assert!(far[4] < 25.0, "{far:?}");
        assert!(all(Corruption::JpegCompression, &gray(128)).iter().all(|x| distance(x, &gray(128)) <= 1.0));
    }

    /// The names are those of the CIFAR-10-C files, and unique.
    fn corruptions_have_their_usual_names() {
        assert_eq!("jpeg_compression".parse(), Ok(Corruption::JpegCompression));
        assert_eq!(Corruption::ALL.len(), 12);
        assert!(Corruption::ALL.iter().all(|kind| kind.name().parse() == Ok(*kind)));
    }

    /// A tally does not depend on batch size, interruptions and serialization, and matches an independent count.
    fn tallies_can_be_resumed() {
        let (model, device) = (shipped(), Device::flex());
        let images: ImageSet = synthetic::generate(0, 1, 7).test;
        let views = [View::Clean, View::Corrupted(Corruption::GaussianNoise, 5), View::Corrupted(Corruption::Fog, 5)];
        let count = |batch: usize| {
            let views = Views { images: &images, views: &views, seed: 1, batch };
            let mut tally = Tally::default();
            while tally.done < views.total() {
                ready(views.step(&model, &device, &mut tally)).unwrap();
                tally = serde_json::from_str(&serde_json::to_string(&tally).unwrap()).unwrap();
            }
            tally
        };
        let tally = count(3);
        assert_eq!(tally, count(100));
        let right = |corrupt: &dyn Fn(usize) -> Vec<u8>| {
            let right = |i: &usize| {
                let x: Vec<f32> = corrupt(*i).into_iter().map(|v| f32::from(v) / 255.0).collect();
                let logits = ready(ModelOracle::new(&model, &device, [3, IMAGE_SIZE, IMAGE_SIZE], 1).logits(&x)).unwrap();
                let label = usize::from(images.labels[*i]);
                seen(logits.row(0), label) == label
            };
            (0..7).filter(right).count()
        };
        let expected = [
            right(&|i| images.image(i).to_vec()),
            right(&|i| Corruption::GaussianNoise.apply(5, images.image(i), 1, i as u64)),
            right(&|i| Corruption::Fog.apply(5, images.image(i), 1, i as u64)),
        ];
        assert_eq!((tally.right.as_slice(), tally.done), (expected.as_slice(), 21));
        assert!(expected[0] > expected[1] || expected[0] > expected[2], "{expected:?}: the test tests nothing");
        assert_eq!(View::corruptions().len(), 60);
    }

    /// Expected values: Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
    fn intervals_are_wilsons() {
        for (right, n, expected) in
            [(81, 263, [0.2553, 0.3662]), (15, 148, [0.0624, 0.1605]), (0, 20, [0.0, 0.1611]), (1, 29, [0.0061, 0.1718])]
        {
            let interval = wilson(f64::from(right) / n as f64, n);
            assert!(interval.iter().zip(expected).all(|(a, b)| (a - b).abs() < 5e-5), "{interval:?}");
        }
        assert_eq!(wilson(1.0, 20)[1], 1.0);
    }
}
