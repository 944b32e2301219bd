//! What a step learns from: images drawn from the data sets, augmented and mixed.

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand_distr::{Beta, Distribution};

use super::TrainConfig;
use crate::{
    batch::Batch,
    data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, augment, to_unit_range},
    random::{self, RngExt, StreamId},
};

/// The batch of `size` images for the step after `step` steps: a share of them from `extra`, if there is any, the others
/// in the order of the epoch. An epoch has `data.len() / size` steps whatever the share.
pub fn draw(config: &TrainConfig, [data, extra]: [&ImageSet; 2], step: u64, size: usize, device: &Device) -> Batch {
    let per_epoch = (data.len() / size) as u64;
    let (epoch, position) = (step / per_epoch, (step % per_epoch) as usize);
    let mut order: Vec<usize> = (0..data.len()).collect();
    order.shuffle(&mut random::stream(config.seed, StreamId::Order, epoch));
    let added = if extra.is_empty() { 0 } else { (config.extra_share * size as f32).round() as usize };
    let mut images = data.select(&order[position * size..(position + 1) * size - added]);
    let mut rng = random::stream(config.seed, StreamId::Extra, step);
    let ids: Vec<usize> = (0..added).map(|_| rng.random_range(0..extra.len() as u32) as usize).collect();
    let more = extra.select(&ids);
    images.pixels.extend(more.pixels);
    images.labels.extend(more.labels);

    let mut rng = random::stream(config.seed, StreamId::Augmentation, step);
    let mut x = vec![0f32; size * IMAGE_LEN];
    for (i, out) in x.chunks_exact_mut(IMAGE_LEN).enumerate() {
        if config.augment {
            augment::crop_and_flip(images.image(i), &mut rng, out);
        } else {
            out.copy_from_slice(&to_unit_range(images.image(i)));
        }
        if config.cutout > 0 {
            augment::cut_out(config.cutout, &mut rng, out);
        }
    }
    let classes = data.classes.len();
    let mut y = vec![0f32; size * classes];
    for (row, &label) in y.chunks_exact_mut(classes).zip(&images.labels) {
        row[usize::from(label)] = 1.0;
    }
    if config.mixup > 0.0 {
        let mut rng = random::stream(config.seed, StreamId::Mixup, step);
        let share = Beta::new(config.mixup, config.mixup).map_or(1.0, |beta| beta.sample(&mut rng));
        let mut partners: Vec<usize> = (0..size).collect();
        partners.shuffle(&mut rng);
        x = mix(&x, &partners, share);
        y = mix(&y, &partners, share);
    }
    Batch {
        x: Tensor::from_data(TensorData::new(x, [size, 3, IMAGE_SIZE, IMAGE_SIZE]), device),
        y: Tensor::from_data(TensorData::new(y, [size, classes]), device),
    }
}

/// Each row times `share`, and its partner's times the rest (mixup; Zhang et al., 2018, eq. 1).
fn mix(rows: &[f32], partners: &[usize], share: f32) -> Vec<f32> {
    let width = rows.len() / partners.len();
    let row = |i: usize| &rows[i * width..(i + 1) * width];
    let mixed = |(i, &partner)| row(i).iter().zip(row(partner)).map(|(a, b)| share * a + (1.0 - share) * b);
    partners.iter().enumerate().flat_map(mixed).collect()
}
