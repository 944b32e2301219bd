//! Settings of a training run.

use crate::{
    data::Dataset,
    loss::{Objective, ObjectiveConfig},
    model::Architecture,
    settings::{Pixels, choices, settings},
};

choices! {
    /// How the learning rate goes over a run.
    pub enum Schedule {
        /// x 0.1 at 75 % and x 0.01 at 90 % of the run (epochs 75 and 90 of the paper's 100).
        Steps = "steps",
        /// Half a cosine from the rate to 0.
        Cosine = "cosine",
        /// Up linearly for 30 % of the run, then half a cosine to 0.
        OneCycle = "one-cycle",
    }
}

settings! {
    /// A training run. The defaults are the paper's recipe; [`TrainConfig::demo`] is what fits into minutes on a laptop.
    pub struct TrainConfig {
        /// What to train on: synthetic needs no files, cifar10 and cifar100 are fetched, folder needs --data-dir
        dataset: Dataset = Dataset::Cifar10;
        /// Where the data is: a directory, CIFAR's .tar.gz itself (fetched if it is not given), or a zip of class folders
        data_dir: String = String::new();
        /// The network: wrn-D-W (wrn-10-1 ... wrn-34-10), resnet-18 or preact-resnet-18
        model: Architecture = Architecture::WideResNet { depth: 34, width: 10 };
        /// What to minimize
        objective: Objective = Objective::Otjr;
        /// Passes over the training images
        epochs: usize = 100, in [1.0, 100000.0];
        /// Images a step
        batch: usize = 128, in [2.0, 65536.0];
        /// Peak learning rate
        rate: f32 = 0.1, symbol "η", in [0.0, 100.0];
        /// How the rate goes over the run
        schedule: Schedule = Schedule::Steps;
        /// Epochs in which the rate first rises linearly (0: none)
        warm_up: f32 = 0.0, in [0.0, 100000.0];
        /// Momentum
        momentum: f32 = 0.9, symbol "μ", in [0.0, 1.0];
        /// Weight decay
        weight_decay: f32 = 2e-4, in [0.0, 1.0];
        /// Weight decay on biases and batch normalization too
        decay_all: bool = true;
        /// Longest gradient; a longer one is shortened to it (0: as it is)
        clip: f32 = 0.0, in [0.0, 1e6];
        /// Parts of a batch computed one after the other, to save memory; each is normalized by itself
        accumulate: usize = 1, in [1.0, 65536.0];
        /// Decay of a running average of the weights, which is then what is judged and kept (0: the weights as they are)
        average: f32 = 0.0, in [0.0, 0.99999];
        /// Crop from 4 pixels of padding and flip at random
        augment: bool = true;
        /// Side of a square that is blanked in each image, in pixels (cutout; 0: none)
        cutout: usize = 0, in [0.0, 32.0];
        /// Mix pairs of images and of their labels, by a share drawn from Beta(α, α) (mixup; 0: none)
        mixup: f32 = 0.0, symbol "α", in [0.0, 100.0];
        /// Share of a label's weight that is spread over all classes
        label_smoothing: f32 = 0.0, in [0.0, 1.0];
        /// Move each layer's weights uphill by this share of their length before the gradient is taken (AWP; 0: not)
        awp: f32 = 0.0, symbol "γ", in [0.0, 1.0];
        /// More training images of the same classes: a folder, a zip, or an .npz of images and labels
        extra: String = String::new();
        /// Share of each batch that comes from them
        extra_share: f32 = 0.7, in [0.0, 1.0];
        /// Subtract each channel's mean and divide by its deviation, inside the model
        normalize: bool = false;
        /// Multiply in float16 and add in float32 inside convolutions, where the GPU can (mixed precision)
        mixed: bool = false;
        /// Train the last layer alone, on the representation as it is
        head_only: bool = false;
        /// Train on at most this many images (0: all)
        limit: usize = 0;
        /// Evaluate on at most this many images (0: all)
        limit_test: usize = 0;
        /// Training images set aside, to measure each epoch's robust accuracy on and keep the best epoch (0: none)
        validation: usize = 0;
        /// Stop after this many epochs that were no better on them (0: never)
        patience: usize = 0;
        /// Seed of everything random
        seed: u64 = 0;
    }
    /// Coefficients of the objective and its attack.
    + coefficients: ObjectiveConfig
}

impl TrainConfig {
    /// Whether a setting may change while a run is under way: what decides the order of the images may not, nor what the
    /// network is.
    pub fn live(key: &str) -> bool {
        let fixed = [
            "dataset",
            "data-dir",
            "extra",
            "model",
            "batch",
            "normalize",
            "limit",
            "limit-test",
            "validation",
            "seed",
            "head-only",
        ];
        !fixed.contains(&key)
    }

    /// What a phone does in the same minutes.
    pub fn small() -> Self {
        Self { batch: 16, epochs: 4, limit: 1600, limit_test: 200, ..Self::demo() }
    }

    /// The embedded set, a small network, a short attack and a high rate: minutes on two cores. In so few steps the
    /// paper's weight on L_SW costs more than it gives.
    pub fn demo() -> Self {
        let coefficients = ObjectiveConfig {
            train_epsilon: Pixels(8.0 / 255.0),
            train_step: Pixels(5.0 / 255.0),
            train_steps: 2,
            lambda_sw: 1.0,
            ..ObjectiveConfig::default()
        };
        Self {
            dataset: Dataset::Synthetic,
            model: Architecture::WideResNet { depth: 10, width: 1 },
            epochs: 8,
            batch: 64,
            rate: 0.2,
            schedule: Schedule::OneCycle,
            weight_decay: 5e-4,
            augment: false,
            limit: 3200,
            limit_test: 500,
            coefficients,
            ..Self::default()
        }
    }
}
