//! Every setting, said once: its name, symbol, unit, range and help feed the command line, the page's controls and
//! its URL. A config is a plain struct; [`Settings`] lets a shell read and write it by name, as text.

mod settings;

use crate::model::Architecture;
pub use settings::{Error, Pixels, Setting, Settings, Value};
use settings::{check_range, choices, kebab, settings};

choices! {
    /// The size of a perturbation.
    pub enum Norm {
        /// The largest change of a pixel's channel.
        Linf = "linf",
        /// The Euclidean length of the change.
        L2 = "l2",
        /// The sum of all changes.
        L1 = "l1",
    }
}

choices! {
    /// The attacks.
    pub enum AttackKind {
        /// One step of size epsilon (Goodfellow et al., 2015).
        Fgsm = "fgsm",
        /// Steps from the picture itself (Kurakin et al., 2017).
        Bim = "bim",
        /// Steps from a random start (Madry et al., 2018).
        Pgd = "pgd",
        /// Steps with momentum (Dong et al., 2018).
        MiFgsm = "mi-fgsm",
        /// Auto-PGD: steps that shorten by themselves, on the cross-entropy (Croce and Hein, 2020).
        ApgdCe = "apgd-ce",
        /// Auto-PGD on the ratio of logit differences, blind to their scale (Croce and Hein, 2020).
        ApgdDlr = "apgd-dlr",
        /// Auto-PGD towards each of the likeliest wrong classes (Croce and Hein, 2020).
        ApgdT = "apgd-t",
        /// Along the decision boundary (Croce and Hein, 2020b).
        Fab = "fab",
        /// Along the boundary to each of the likeliest wrong classes (Croce and Hein, 2020b).
        FabT = "fab-t",
        /// Random squares; asks for outputs only (Andriushchenko et al., 2020).
        Square = "square",
        /// Carlini and Wagner's search for the smallest L2 perturbation (2017).
        Cw = "cw",
        /// To the nearest boundary, straight (Moosavi-Dezfooli et al., 2016).
        Deepfool = "deepfool",
        /// One random pixel after another; asks for outputs only (Guo et al., 2019).
        Simba = "simba",
        /// apgd-ce, apgd-t, fab-t, square, with the published parameters (Croce and Hein, 2020).
        Autoattack = "autoattack",
        /// AutoAttack with six attacks and more restarts.
        AutoattackPlus = "autoattack-plus",
        /// AutoAttack for models that answer at random: each gradient is a mean of 20.
        AutoattackRand = "autoattack-rand",
    }
}

choices! {
    /// What gradient steps climb.
    pub enum AttackLoss {
        /// The cross-entropy.
        Ce = "ce",
        /// Minus the margin between the two classes in question.
        Margin = "margin",
        /// The same relative to the logits' scale.
        Dlr = "dlr",
    }
}

impl From<AttackLoss> for crate::attack::Loss {
    fn from(loss: AttackLoss) -> Self {
        match loss {
            AttackLoss::Ce => Self::CrossEntropy,
            AttackLoss::Margin => Self::Margin,
            AttackLoss::Dlr => Self::Dlr,
        }
    }
}

choices! {
    /// How the length of an attack's steps goes over a run.
    pub enum StepSchedule {
        Constant = "constant",
        /// Down to 0 linearly.
        Linear = "linear",
        /// Down to 0 along half a cosine.
        Cosine = "cosine",
    }
}

choices! {
    /// Common corruptions, by CIFAR-10-C's names, in order of their place in seeds: new ones come last.
    pub enum Corruption {
        /// A sensor in low light.
        GaussianNoise = "gaussian_noise",
        /// Light that comes in particles.
        ShotNoise = "shot_noise",
        /// Broken bits.
        ImpulseNoise = "impulse_noise",
        /// A soft picture.
        GaussianBlur = "gaussian_blur",
        /// A lens out of focus.
        DefocusBlur = "defocus_blur",
        /// A camera that moves.
        MotionBlur = "motion_blur",
        /// Patches of white.
        Fog = "fog",
        /// More light.
        Brightness = "brightness",
        /// Less contrast.
        Contrast = "contrast",
        /// Paler or stronger colours.
        Saturate = "saturate",
        /// Fewer pixels.
        Pixelate = "pixelate",
        /// A JPEG file.
        JpegCompression = "jpeg_compression",
    }
}

choices! {
    /// What training minimises.
    pub enum Objective {
        /// The cross-entropy of clean pictures: no defence.
        Ce = "ce",
        /// The cross-entropy of attacked pictures (Madry et al., 2018).
        Pgd = "pgd",
        /// Clean pictures, and attacked ones kept near them by their divergence (Zhang et al., 2019).
        Trades = "trades",
        /// Both, their logits paired (Kannan et al., 2018).
        Alp = "alp",
        /// Attacked pictures, their logits brought to clean ones by regularised optimal transport.
        Sinkhorn = "sinkhorn",
        /// Attacked pictures, their logits brought to clean ones by optimal transport along random lines.
        Sw = "sw",
        /// Clean pictures, their logits made to react little to pixels along random directions.
        RandJac = "rand_jac",
        /// Clean pictures, their logits made to react little along the directions of the transport.
        SwJac = "sw_jac",
        /// sw and sw_jac together: the transport, and little reaction along its directions.
        Otjr = "otjr",
    }
}

impl Objective {
    /// Whether it looks at adversarial pictures.
    pub fn needs_attack(self) -> bool {
        !matches!(self, Self::Ce | Self::RandJac)
    }

    /// Whether it looks at a setting of a [`TrainConfig`].
    pub fn uses(self, key: &str) -> bool {
        match key {
            "lambda-sw" | "projections" => {
                matches!(self, Self::Sw | Self::Otjr) || key == "projections" && self == Self::SwJac
            }
            "lambda-jac" => matches!(self, Self::RandJac | Self::SwJac | Self::Otjr),
            "beta-trades" => self == Self::Trades,
            "beta-alp" => self == Self::Alp,
            "lambda-sinkhorn" => self == Self::Sinkhorn,
            "train-epsilon" | "train-step" | "train-steps" | "train-noise" => self.needs_attack(),
            _ => true,
        }
    }
}

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

choices! {
    /// The data sets.
    pub enum Dataset {
        /// The generated set, in the program itself.
        Synthetic = "synthetic",
        Cifar10 = "cifar10",
        Cifar100 = "cifar100",
        /// A folder or a zip of class folders of pictures.
        Folder = "folder",
    }
}

settings! {
    /// An evaluation attack; [`AttackConfig::of`] has each one's usual parameters.
    pub struct AttackConfig {
        /// The attack
        attack: AttackKind = AttackKind::Pgd;
        /// What measures the perturbation: linf, the largest change of any pixel value; l2, the Euclidean length; l1, the sum
        norm: Norm = Norm::Linf;
        /// Largest perturbation allowed, for pixels in [0,1] (a fraction such as 8/255 will do)
        epsilon: Pixels = Pixels(8.0 / 255.0), symbol "ε", in [0.0, 3072.0];
        /// Length of one step, in the same unit
        step: Pixels = Pixels(2.0 / 255.0), symbol "α", in [0.0, 3072.0];
        /// How the length of the steps goes over a run
        step_schedule: StepSchedule = StepSchedule::Constant;
        /// Steps of each run
        steps: usize = 20, in [1.0, 10000.0];
        /// Runs from different random starts; each picture keeps its worst
        restarts: usize = 1, in [1.0, 1000.0];
        /// Begin at a random point of the ball rather than at the picture
        random_start: bool = true;
        /// What the steps climb: ce, the cross-entropy; margin, the difference of two logits; dlr, the same relative to their scale
        loss: AttackLoss = AttackLoss::Ce;
        /// Likeliest wrong classes to go towards, one after the other
        targets: usize = 9, in [1.0, 1000.0];
        /// Gradients averaged at each point, for models that answer at random
        samples: usize = 1, in [1.0, 1000.0];
        /// Random proposals
        queries: usize = 5000, in [1.0, 1000000.0];
        /// Share of the picture that the first squares cover
        share: f32 = 0.8, symbol "p", in [0.0, 1.0];
        /// How far beyond the boundary to go, in logits
        confidence: f32 = 0.0, symbol "κ", in [0.0, 1000.0];
        /// Leave a picture as soon as the model is wrong, rather than make it surer of its error
        early_stop: bool = false;
        /// Seed of everything random
        seed: u64 = 0;
    }
}

impl AttackKind {
    /// Whether it is several attacks in turn.
    pub fn is_suite(self) -> bool {
        matches!(self, Self::Autoattack | Self::AutoattackPlus | Self::AutoattackRand)
    }

    /// Whether the attack looks at a setting.
    pub fn uses(self, key: &str) -> bool {
        let own: &[&str] = match self {
            Self::Fgsm => &["loss"],
            Self::Bim | Self::MiFgsm => &["step", "step-schedule", "steps", "loss", "early-stop"],
            Self::Pgd => &["step", "step-schedule", "steps", "restarts", "random-start", "loss", "early-stop", "seed"],
            Self::ApgdCe | Self::ApgdDlr => &["steps", "restarts", "samples", "seed"],
            Self::ApgdT => &["steps", "targets", "samples", "seed"],
            Self::Fab => &["steps", "restarts", "seed"],
            Self::FabT => &["steps", "restarts", "targets", "seed"],
            Self::Square => &["restarts", "queries", "share", "seed"],
            Self::Cw => &["steps", "confidence"],
            Self::Deepfool => &["steps"],
            Self::Simba => &["step", "queries", "seed"],
            Self::Autoattack | Self::AutoattackPlus | Self::AutoattackRand => &["seed"],
        };
        match key {
            "attack" | "epsilon" => true,
            "norm" => self != Self::Cw,
            key => own.contains(&key),
        }
    }
}

impl AttackConfig {
    /// An attack with the parameters that are usual for it; `norm` is overruled where it knows only one.
    pub fn of(attack: AttackKind, norm: Norm) -> Self {
        let norm = if attack == AttackKind::Cw { Norm::L2 } else { norm };
        let epsilon = match norm {
            Norm::Linf => 8.0 / 255.0,
            Norm::L2 => 128.0 / 255.0,
            Norm::L1 => 12.0,
        };
        let steps = match attack {
            AttackKind::Bim | AttackKind::MiFgsm => 10,
            AttackKind::Deepfool => 50,
            AttackKind::Cw => 200,
            AttackKind::ApgdCe | AttackKind::ApgdDlr | AttackKind::ApgdT | AttackKind::Fab | AttackKind::FabT => 100,
            _ => 20,
        };
        Self { attack, norm, steps, ..Self::default() }.within(Pixels(epsilon))
    }

    /// The same within another radius. Steps are a quarter of it, but SimBA's, which the ball cuts short.
    pub fn within(self, epsilon: Pixels) -> Self {
        let step = if self.attack == AttackKind::Simba { 0.2 } else { epsilon.0 / 4.0 };
        Self { epsilon, step: Pixels(step), ..self }
    }
}

settings! {
    /// Coefficients of the objectives and the attack inside training; the reference's values.
    pub struct ObjectiveConfig {
        /// Weight of the sliced Wasserstein distance (sw, otjr)
        lambda_sw: f32 = 64.0, symbol "λ_SW", in [0.0, 1e6];
        /// Weight of the Jacobian penalty (rand_jac, sw_jac, otjr)
        lambda_jac: f32 = 0.005, symbol "λ_R", in [0.0, 1e6];
        /// Weight of the KL divergence (trades)
        beta_trades: f32 = 6.0, symbol "β", in [0.0, 1e6];
        /// Weight of logit pairing (alp)
        beta_alp: f32 = 0.5, symbol "β", in [0.0, 1e6];
        /// Weight of the Sinkhorn divergence (sinkhorn)
        lambda_sinkhorn: f32 = 1.0, symbol "λ_S", in [0.0, 1e6];
        /// Projections of the sliced Wasserstein distance, drawn anew each step
        projections: usize = 32, symbol "K", in [1.0, 4096.0];
        /// Radius of the training attack (L-inf, pixels in [0,1])
        train_epsilon: Pixels = Pixels(0.031), symbol "ε", in [0.0, 1.0];
        /// Step of the training attack
        train_step: Pixels = Pixels(0.007), symbol "α", in [0.0, 1.0];
        /// Steps of the training attack
        train_steps: usize = 10, in [1.0, 1000.0];
        /// Standard deviation of the noise at which the training attack starts
        train_noise: f32 = 0.001, symbol "σ", in [0.0, 1.0];
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
        /// What to minimise
        objective: Objective = Objective::Otjr;
        /// Passes over the training pictures
        epochs: usize = 100, in [1.0, 100000.0];
        /// Pictures a step
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
        /// Weight decay on biases and batch normalisation too
        decay_all: bool = true;
        /// Longest gradient; a longer one is shortened to it (0: as it is)
        clip: f32 = 0.0, in [0.0, 1e6];
        /// Parts of a batch computed one after the other, to save memory; each is normalised by itself
        accumulate: usize = 1, in [1.0, 65536.0];
        /// Decay of a running average of the weights, which is then what is judged and kept (0: the weights as they are)
        average: f32 = 0.0, in [0.0, 0.99999];
        /// Crop from 4 pixels of padding and flip at random
        augment: bool = true;
        /// Side of a square that is blanked in each picture, in pixels (cutout; 0: none)
        cutout: usize = 0, in [0.0, 32.0];
        /// Mix pairs of pictures and of their labels, by a share drawn from Beta(α, α) (mixup; 0: none)
        mixup: f32 = 0.0, symbol "α", in [0.0, 100.0];
        /// Share of a label's weight that is spread over all classes
        label_smoothing: f32 = 0.0, in [0.0, 1.0];
        /// Move each layer's weights uphill by this share of their length before the gradient is taken (AWP; 0: not)
        awp: f32 = 0.0, symbol "γ", in [0.0, 1.0];
        /// More training pictures of the same classes: a folder, a zip, or an .npz of pictures and labels
        extra: String = String::new();
        /// Share of each batch that comes from them
        extra_share: f32 = 0.7, in [0.0, 1.0];
        /// Subtract each channel's mean and divide by its deviation, inside the model
        normalize: bool = false;
        /// Multiply in float16 and add in float32 inside convolutions, where the GPU can (mixed precision)
        mixed: bool = false;
        /// Train the last layer alone, on the representation as it is
        head_only: bool = false;
        /// Train on at most this many pictures (0: all)
        limit: usize = 0;
        /// Evaluate on at most this many pictures (0: all)
        limit_test: usize = 0;
        /// Training pictures set aside, to measure each epoch's robust accuracy on and keep the best epoch (0: none)
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
    /// Whether a setting may change while a run is under way: what decides the order of the pictures may not, nor what the
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
