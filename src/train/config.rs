//! Settings of a training run. Doc comments inside `choices!` and `settings!` are user-visible help.

use crate::{
    data::Dataset,
    loss::{Objective, ObjectiveConfig},
    model::Architecture,
    settings::{Pixels, choices, settings},
};

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
choices! {
    /// Learning rate schedule.
    pub enum Schedule {
        /// Decays by 10 at 75 % and at 90 % of the run (epochs 75 and 90 of 100 in the paper).
        Steps = "steps",
        /// Cosine decay to 0.
        Cosine = "cosine",
        /// Linear warm-up for 30 % of the run, then cosine decay to 0.
        OneCycle = "one-cycle",
    }
}

// The doc comments of settings!/choices! are user-visible: CLI help and labels of the page.
settings! {
    /// Configuration of a training run. The defaults are the paper's recipe; [`TrainConfig::demo`] trains in minutes on a
    /// laptop.
    pub struct TrainConfig {
        /// Data set: synthetic (generated), cifar10 or cifar100 (downloaded), folder (needs --data-dir)
        dataset: Dataset = Dataset::Cifar10;
        /// Path of the data: a directory, the CIFAR .tar.gz (downloaded if omitted), or a zip of class folders
        data_dir: String = String::new();
        /// Architecture: wrn-D-W (wrn-10-1 ... wrn-34-10), resnet-18 or preact-resnet-18
        model: Architecture = Architecture::WideResNet { depth: 34, width: 10 };
        /// Training objective
        objective: Objective = Objective::Otjr;
        /// Number of epochs
        epochs: usize = 100, in [1.0, 100000.0];
        /// Batch size
        batch: usize = 128, in [2.0, 65536.0];
        /// Peak learning rate
        rate: f32 = 0.1, symbol "η", in [0.0, 100.0];
        /// Learning rate schedule
        schedule: Schedule = Schedule::Steps;
        /// Linear warm-up in epochs (0 disables)
        warm_up: f32 = 0.0, in [0.0, 100000.0];
        /// SGD momentum
        momentum: f32 = 0.9, symbol "μ", in [0.0, 1.0];
        /// Weight decay
        weight_decay: f32 = 2e-4, in [0.0, 1.0];
        /// Apply weight decay to biases and batch normalization as well
        decay_all: bool = true;
        /// Gradient-norm clipping threshold (0 disables)
        clip: f32 = 0.0, in [0.0, 1e6];
        /// Gradient accumulation: micro-batches per batch, each with its own batch statistics
        accumulate: usize = 1, in [1.0, 65536.0];
        /// EMA decay; the averaged weights are evaluated and saved (0 disables)
        average: f32 = 0.0, in [0.0, 0.99999];
        /// Random crop (4 pixels of padding) and horizontal flip
        augment: bool = true;
        /// Cutout: side of the blanked square in pixels (0 disables)
        cutout: usize = 0, in [0.0, 32.0];
        /// Mixup parameter α of Beta(α, α) (0 disables)
        mixup: f32 = 0.0, symbol "α", in [0.0, 100.0];
        /// Label smoothing (0 disables)
        label_smoothing: f32 = 0.0, in [0.0, 1.0];
        /// Adversarial weight perturbation strength γ (0 disables)
        awp: f32 = 0.0, symbol "γ", in [0.0, 1.0];
        /// Extra training images of the same classes: a folder, a zip, or an .npz of images and labels
        extra: String = String::new();
        /// Fraction of each batch drawn from the extra images
        extra_share: f32 = 0.7, in [0.0, 1.0];
        /// Normalize the input by channel mean and standard deviation, inside the model
        normalize: bool = false;
        /// Mixed precision: convolutions multiply in float16 and add in float32 on GPUs that support it
        mixed: bool = false;
        /// Train only the last layer (linear probe)
        head_only: bool = false;
        /// Maximum number of training images (0: all)
        limit: usize = 0;
        /// Maximum number of test images (0: all)
        limit_test: usize = 0;
        /// Held-out training images for selecting the most robust epoch (0 disables)
        validation: usize = 0;
        /// Early stopping: epochs without improvement on the held-out images (0 disables)
        patience: usize = 0;
        /// Random seed
        seed: u64 = 0;
    }
    /// Coefficients of the objective and of its attack.
    + coefficients: ObjectiveConfig
}

impl TrainConfig {
    /// Returns whether the setting `key` can change during a run. Settings of the network and of the order of the images
    /// cannot.
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

    /// Returns the demo settings reduced for a phone.
    pub fn small() -> Self {
        Self { batch: 16, epochs: 4, limit: 1600, limit_test: 200, ..Self::demo() }
    }

    /// Returns settings that train in minutes on two cores: generated images, a small network, a short attack and a high
    /// learning rate. The weight of L_SW is lower than in the paper, which trains for many more steps.
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
