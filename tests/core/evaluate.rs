//! Evaluations: sequences of attacks, interruptions, and warnings about unreliable results.

use std::{cell::Cell, ops::ControlFlow};

use burn::tensor::{Device, Tensor, activation::softmax};
use otjr::{
    attack::{
        AttackConfig, AttackKind, Norm,
        any::{NamedAttack, build_attacks},
        autoattack::Flag,
        rounding::change,
    },
    checkpoint::Checkpoint,
    data::{ImageSet, synthetic},
    evaluate::{
        Accuracy, Evaluation, EvaluationObserver, EvaluationProgress, ImageStatus, State, Target, accuracy, check,
        pairs,
    },
    model::{Classifier, Model},
    prediction::{ranking, rival, seen, top},
    settings::Pixels,
};

use crate::{ready, tests, uniform, values};

fn data(n: usize) -> ImageSet {
    synthetic::generate(0, 1, n).test
}

/// The built-in models of the page.
fn shipped(bytes: &[u8]) -> Model {
    Model::from_arrays(&Checkpoint::from_bytes(bytes).unwrap().model_arrays(), &Device::flex()).unwrap()
}

fn standard() -> Model {
    shipped(include_bytes!("../../public/models/ce.safetensors"))
}

fn robust() -> Model {
    shipped(include_bytes!("../../public/models/otjr.safetensors"))
}

/// Replaces the labels with the model's predictions, so that every image is attacked.
fn as_seen(model: &impl Classifier, mut images: ImageSet) -> ImageSet {
    let x = otjr::batch::pixels_of(&images.pixels, &Device::flex());
    let classes = values(&model.logits(x).argmax(1).float());
    images.labels = classes.into_iter().map(|class| class as u16).collect();
    images
}

fn few(kind: AttackKind, epsilon: f32) -> AttackConfig {
    let of = AttackConfig::of(kind, Norm::Linf);
    AttackConfig { epsilon: Pixels(epsilon), step: Pixels(epsilon / 2.0), steps: 3, queries: 8, early_stop: true, ..of }
}

const EPSILON: f32 = 8.0 / 255.0;

/// Three attacks. Some images resist all of them.
fn plan() -> Vec<NamedAttack> {
    let kinds = [AttackKind::Fgsm, AttackKind::ApgdCe, AttackKind::Square];
    kinds.iter().flat_map(|&kind| build_attacks(&few(kind, EPSILON), 10).unwrap()).collect()
}

fn evaluation<'a>(images: &'a ImageSet, attacks: &'a [NamedAttack]) -> Evaluation<'a> {
    Evaluation { images, attacks, target: None, seed: 0, batch: 4, flags: Vec::new(), may_be_random: false }
}

/// Stops an evaluation after a number of steps, and stores the last state at the end of a batch.
struct Steps(usize, Option<State>);

impl EvaluationObserver for Steps {
    async fn on_progress(&mut self, progress: EvaluationProgress<'_>) -> ControlFlow<()> {
        assert!(progress.done <= progress.of as f64 + 1e-9);
        if progress.batch_finished {
            self.1 = Some(progress.state.clone());
        }
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

fn whole(model: &impl Classifier, evaluation: &Evaluation) -> State {
    let device = Device::flex();
    let mut state = ready(evaluation.begin(model, &device)).unwrap();
    ready(evaluation.run(model, model, &device, &mut state, &mut Steps(usize::MAX, None))).unwrap();
    assert!(state.finished);
    state
}

/// Sets all times to 0, because they differ between runs.
fn timeless(mut state: State) -> State {
    state.records.iter_mut().for_each(|record| record.seconds = 0.0);
    state
}

tests! {
    /// Each attack runs only on the images that resisted the previous ones, and each success is counted once.
    fn attacks_share_the_work() {
        let model = standard();
        let (images, attacks) = (as_seen(&model, data(10)), plan());
        let state = whole(&model, &evaluation(&images, &attacks));
        let accuracy = state.accuracy();
        assert_eq!((accuracy.images, accuracy.clean), (10, 10));
        assert_eq!(state.records.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["fgsm", "apgd-ce", "square"]);
        for (n, record) in state.records.iter().enumerate() {
            let before = if n == 0 { 10 } else { state.records[n - 1].after };
            assert_eq!(record.before, before);
            let felled = state.statuses.iter().filter(|fate| **fate == ImageStatus::FooledBy(n)).count();
            assert_eq!(record.before - record.after, felled);
        }
        assert_eq!(accuracy.robust, state.records[2].after);
        assert!(accuracy.robust < 10, "nothing fell: the test tests nothing");
        for (i, fate) in state.statuses.iter().enumerate() {
            let adversarial = &state.adversarial[i * 3072..(i + 1) * 3072];
            let x: Vec<f32> = images.image(i).iter().map(|&v| f32::from(v) / 255.0).collect();
            assert!(Norm::Linf.distance(adversarial, &x) <= EPSILON);
            assert_eq!(*fate == ImageStatus::Robust, adversarial == x);
            assert_eq!(*fate == ImageStatus::Robust, state.predictions[i] == images.labels[i] as usize);
        }
    }

    /// The counts by class add up to the totals, and the displayed pairs agree with the counts.
    fn classes_and_pairs_agree_with_the_count() {
        let (model, images, device) = (robust(), data(20), Device::flex());
        let config = few(AttackKind::Pgd, EPSILON);
        let go_on = |_: &State| ControlFlow::Continue(());
        let state = ready(accuracy(&model, &images, &config, 8, &device, go_on)).unwrap();
        let classes = state.by_class(&images);
        let sum = |count: fn(&Accuracy) -> usize| classes.iter().map(count).sum::<usize>();
        let Accuracy { images: all, clean, robust } = state.accuracy();
        assert_eq!([sum(|c| c.images), sum(|c| c.clean), sum(|c| c.robust)], [all, clean, robust]);
        assert_eq!(classes[3].images, images.labels.iter().filter(|label| **label == 3).count());

        let ids = [17, 4, 11, 0, 9, 2];
        let shown = ready(pairs(&model, &images, &ids, &config, &device)).unwrap();
        assert_eq!(shown.len(), ids.len());
        for (pair, &i) in shown.iter().zip(&ids) {
            let (image, label) = (images.image(i), images.labels[i] as usize);
            assert!(pair.attacked.iter().zip(image).all(|(after, before)| after.abs_diff(*before) <= 8));
            assert_eq!(pair.change, change(image, &pair.attacked));
            let expected = [state.statuses[i] != ImageStatus::Misclassified, state.statuses[i] == ImageStatus::Robust];
            assert_eq!(pair.classes.map(|class| class == label), expected, "image {i}");
        }
    }

    /// An interrupted evaluation that is saved to a file and resumed has the result of an uninterrupted one.
    fn an_interrupted_evaluation_goes_on() {
        let model = standard();
        let (images, attacks) = (as_seen(&model, data(10)), plan());
        let evaluation = evaluation(&images, &attacks);
        let expected = timeless(whole(&model, &evaluation));
        let device = Device::flex();
        let mut state = ready(evaluation.begin(&model, &device)).unwrap();
        let mut sittings = 0;
        while !state.finished {
            let mut steps = Steps(4 + sittings, None);
            let mut attempt = state.clone();
            ready(evaluation.run(&model, &model, &device, &mut attempt, &mut steps)).unwrap();
            // After a kill, the file contains the state at the end of the last batch.
            let kept = if attempt.finished { attempt } else { steps.1.unwrap_or(state) };
            let file = Checkpoint::from_bytes(&kept.to_checkpoint(&images).to_bytes()).unwrap();
            state = State::from_checkpoint(&file, &images).unwrap();
            assert_eq!(timeless(state.clone()), timeless(kept));
            sittings += 1;
        }
        assert!(sittings > 2, "never interrupted");
        assert_eq!(timeless(state), expected);
        let other = State::from_checkpoint(&expected.to_checkpoint(&images), &data(9)).unwrap_err();
        assert!(other.to_string().contains("another number of images"), "{other}");
    }

    /// Masked gradients, here caused by rounded logits, raise a flag. Square succeeds where gradients fail.
    fn masked_models_raise_flags() {
        struct Rounded(Tensor<2>);
        impl Classifier for Rounded {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                let b = x.dims()[0] as i32;
                x.reshape([b, -1]).matmul(self.0.clone()).mul_scalar(8.0).round().div_scalar(8.0)
            }
        }
        let model = Rounded(uniform(70, [3072, 10], -0.05, 0.05));
        let images = as_seen(&model, data(12));
        let mut all = Vec::new();
        for kind in [AttackKind::ApgdCe, AttackKind::Square] {
            all.extend(build_attacks(&AttackConfig { queries: 200, ..few(kind, 0.1) }, 10).unwrap());
        }
        let state = whole(&model, &evaluation(&images, &all));
        let standing = state.records[0].before;
        assert!(standing > 3, "{:?}", state.records);
        let felled = |n: usize| state.records[n].before - state.records[n].after;
        assert!(felled(1) > felled(0), "gradients of zero lead nowhere: {:?}", state.records);
        assert!(state.flags.contains(&Flag::ZeroGradients(standing)), "{:?}", state.flags);
        let (fooled, of) = (felled(1), state.records[1].before);
        assert!(state.flags.contains(&Flag::SquareAhead { fooled, of }), "{:?}", state.flags);
        // A finished evaluation does nothing when it is resumed.
        let mut again = state.clone();
        ready(evaluation(&images, &all).run(&model, &model, &Device::flex(), &mut again, &mut Steps(0, None))).unwrap();
        assert_eq!(again, state);
    }

    fn random_models_and_probabilities_are_noticed() {
        struct Noisy(Model, Cell<f32>);
        impl Classifier for Noisy {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                self.1.set(self.1.get() + 1.0);
                let z = self.0.logits(x);
                let noise = uniform(self.1.get() as u64, z.dims(), -0.1, 0.1);
                z + noise
            }
        }
        struct Sure(Model);
        impl Classifier for Sure {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                softmax(self.0.logits(x), 1)
            }
        }
        let images = data(4);
        let flags = |model: &dyn Fn(&Evaluation) -> State, may_be_random| {
            let attacks = plan();
            model(&Evaluation { may_be_random, ..evaluation(&images, &attacks) }).flags
        };
        let device = Device::flex();
        let noisy = |e: &Evaluation| ready(e.begin(&Noisy(standard(), Cell::new(0.0)), &device)).unwrap();
        assert_eq!(flags(&noisy, false), [Flag::Randomized]);
        assert_eq!(flags(&noisy, true), []);
        assert_eq!(flags(&|e| ready(e.begin(&Sure(standard()), &device)).unwrap(), false), [Flag::Probabilities]);
        assert_eq!(flags(&|e| ready(e.begin(&standard(), &device)).unwrap(), false), []);
    }

    /// Transfer attacks: only adversarial images that fool the evaluation model count.
    fn attacks_are_judged_by_another_model() {
        let (model, device) = (standard(), Device::flex());
        let other = robust();
        let (images, attacks) = (as_seen(&other, data(6)), plan());
        let evaluation = evaluation(&images, &attacks);
        let mut state = ready(evaluation.begin(&other, &device)).unwrap();
        assert_eq!(state.accuracy().clean, 6);
        ready(evaluation.run(&model, &other, &device, &mut state, &mut Steps(usize::MAX, None))).unwrap();
        // Adversarial images for the standard model rarely fool the robust model.
        let own = whole(&model, &evaluation);
        assert!(state.accuracy().robust > own.accuracy().robust, "{:?} {:?}", state.accuracy(), own.accuracy());
        // Images that the attacked model misclassifies are skipped, and a flag reports their number.
        let wrong = own.statuses.iter().filter(|fate| **fate == ImageStatus::Misclassified).count();
        let said = state.flags.contains(&Flag::Skipped { images: wrong, of: 6 });
        assert_eq!(said, wrong > 0, "{wrong} {:?}", state.flags);
        assert!(own.flags.iter().all(|flag| !matches!(flag, Flag::Skipped { .. })));
    }

    /// On a model with random outputs a single misclassification is no success: attacks that average over several samples
    /// run to the end.
    fn random_models_are_attacked_on_average() {
        struct Jumpy(Model, Cell<u64>);
        impl Classifier for Jumpy {
            fn logits(&self, x: Tensor<4>) -> Tensor<2> {
                self.1.set(self.1.get() + 1);
                let z = self.0.logits(x);
                let noise = uniform(self.1.get(), z.dims(), -1.0, 1.0);
                z + noise
            }
        }
        let (robust, images, device) = (robust(), data(4), Device::flex());
        let images = as_seen(&robust, images);
        let rand = build_attacks(&AttackConfig { samples: 4, steps: 10, ..few(AttackKind::ApgdCe, EPSILON) }, 10).unwrap();
        let model = Jumpy(robust, Cell::new(0));
        let evaluation = Evaluation { may_be_random: true, ..evaluation(&images, &rand) };
        let mut state = ready(evaluation.begin(&model, &device)).unwrap();
        ready(evaluation.run(&model, &model, &device, &mut state, &mut Steps(usize::MAX, None))).unwrap();
        let before = state.records[0].before as u64;
        assert!(before > 0);
        // Four samples at the start and at each of ten steps, for every image. No image stops early.
        assert_eq!(state.records[0].queries[1], 44 * before);
    }

    /// The L1 suite searches in enlarged balls, and its results are within epsilon.
    fn the_l1_suite_ends_in_its_ball() {
        let (model, images) = (standard(), data(4));
        let l1 = AttackConfig { epsilon: Pixels(8.0), ..AttackConfig::of(AttackKind::Autoattack, Norm::L1) };
        let attacks = &build_attacks(&l1, 10).unwrap()[..1];
        let state = whole(&model, &evaluation(&images, attacks));
        assert!(state.statuses.contains(&ImageStatus::FooledBy(0)), "{:?}", state.statuses);
        for (adversarial, x) in state.adversarial.chunks(3072).zip(images.pixels.chunks(3072)) {
            let x: Vec<f32> = x.iter().map(|&v| f32::from(v) / 255.0).collect();
            assert!(Norm::L1.distance(adversarial, &x) <= 8.0);
        }
    }

    /// A target that an attack does not support is rejected before anything runs.
    fn a_suite_with_a_target_is_refused_at_once() {
        let (model, images) = (standard(), data(2));
        let attacks = build_attacks(&AttackConfig::of(AttackKind::Autoattack, Norm::Linf), 10).unwrap();
        let evaluation = Evaluation { target: Some(Target::Class(3)), ..evaluation(&images, &attacks) };
        let error = ready(evaluation.begin(&model, &Device::flex())).unwrap_err().to_string();
        assert!(error.contains("leave out the target"), "{error}");
    }

    /// On a tie the first of the equal classes ranks highest. A prediction that is correct only through a tie counts as wrong.
    fn ties_have_one_rule() {
        let z = [0.5, 2.0, -1.0, 2.0];
        assert_eq!((top(&z), ranking(&z)), (1, vec![1, 3, 0, 2]));
        assert_eq!([0, 1, 2, 3].map(|y| rival(&z, y)), [1, 3, 1, 1]);
        assert_eq!([0, 1, 2, 3].map(|y| seen(&z, y)), [1, 3, 1, 1]);
        assert_eq!((seen(&[2.0, 1.0], 0), top(&[]), rival(&[1.0], 0)), (0, 0, 0));
    }

    /// Unknown target classes, and targets for a model with a single class, are rejected.
    fn targets_that_are_not_there_are_refused() {
        for (target, classes, because) in [
            (Target::Class(4), 4, "there is no class 4"),
            (Target::Random, 1, "one class only"),
            (Target::LeastLikely, 1, "one class only"),
        ] {
            let error = check(&plan(), Some(target), classes).unwrap_err().to_string();
            assert!(error.contains(because), "{error}");
            assert_eq!(check(&plan(), Some(target), 5), Ok(()));
        }
    }

    fn targets_are_what_they_say() {
        let model = standard();
        let (images, device) = (as_seen(&model, data(6)), Device::flex());
        let attacks = build_attacks(&AttackConfig { steps: 20, step: Pixels(0.03), ..few(AttackKind::Pgd, 0.3) }, 10).unwrap();
        for target in [Target::Class(3), Target::Random, Target::LeastLikely] {
            let evaluation = Evaluation { target: Some(target), ..evaluation(&images, &attacks) };
            let mut state = ready(evaluation.begin(&model, &device)).unwrap();
            ready(evaluation.run(&model, &model, &device, &mut state, &mut Steps(usize::MAX, None))).unwrap();
            for (i, fate) in state.statuses.iter().enumerate() {
                if *fate == ImageStatus::FooledBy(0) {
                    assert_ne!(state.predictions[i], images.labels[i] as usize, "{target:?}");
                    assert!(target != Target::Class(3) || state.predictions[i] == 3);
                }
                // Images of class 3 cannot have target 3.
                assert!(target != Target::Class(3) || images.labels[i] != 3 || *fate == ImageStatus::Robust);
            }
            assert_eq!(state.accuracy().clean, 6);
            assert!(state.statuses.contains(&ImageStatus::FooledBy(0)), "{target:?}");
        }
        assert_eq!("least-likely".parse(), Ok(Target::LeastLikely));
        assert_eq!("7".parse(), Ok(Target::Class(7)));
        assert!("cat".parse::<Target>().is_err());
    }
}
