//! The state of the page: structs and read-only queries. [`crate::app::update`] changes it.

pub mod attack;
pub mod backend;
pub mod backend_check;
pub mod batch;
pub mod comparison;
pub mod crop;
pub mod explorer;
pub mod images;
pub mod notice;
pub mod permalink;
pub mod run;
pub mod run_evaluation;
pub mod training;

use crate::{
    app::{
        domain::{builtin_model::BuiltinModel, source::Source},
        state::{
            attack::{Attack, AttackPhase, SavedImage},
            backend::Backend,
            backend_check::BackendCheck,
            batch::BatchAttack,
            comparison::{ComparedModel, Comparison},
            crop::CropState,
            explorer::ExplorerCache,
            images::UserImage,
            notice::Notice,
            permalink::Permalink,
            training::Training,
        },
    },
    protocol::{ImageInfo, ModelInfo, Slot},
};

/// The state of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The part of the state that the URL hash contains.
    pub permalink: Permalink,
    /// The workers.
    pub backend: Backend,
    /// The model in focus.
    pub model: Option<ModelInfo>,
    /// The source of the model in focus.
    pub model_source: Option<Source<BuiltinModel>>,
    /// The model that was requested last. It is loading if it differs from `model_source`.
    pub requested_model: Option<Source<BuiltinModel>>,
    /// The current image.
    pub image: Option<ImageInfo>,
    /// The source of the current image.
    pub image_source: Option<Source<u64>>,
    /// The image that was requested last. It is loading if it differs from `image_source`.
    pub requested_image: Option<Source<u64>>,
    /// The crop of the current image; `None` if the file already has the input size of the models.
    pub crop: Option<CropState>,
    /// The uploaded images, oldest first.
    pub uploads: Vec<UserImage>,
    /// The file number of the last uploaded model that was loaded.
    pub uploaded_model: Option<usize>,
    /// The file number of the last uploaded image that was loaded.
    pub(crate) uploaded_image: Option<usize>,
    /// Class probabilities of the original image under the model in focus; empty until it is classified.
    pub clean_probabilities: Vec<f32>,
    /// The attack on the current image and the model in focus.
    pub attack: Attack,
    /// Whether a longer job preempted the attack, which is run again afterwards.
    pub(crate) attack_preempted: bool,
    /// The other models.
    pub comparison: Comparison,
    /// Cached answers for the explorer.
    pub explorer: ExplorerCache,
    /// The image that was exported last.
    pub saved_image: Option<SavedImage>,
    /// The last attack on a batch of images.
    pub batch: Option<BatchAttack>,
    /// The training section.
    pub training: Training,
    /// The check of the backend against a fixture.
    pub backend_check: Option<BackendCheck>,
    /// The notices that the user has not dismissed, oldest first.
    pub notices: Vec<Notice>,
    pub(crate) last_notice_id: usize,
    /// The selection to restore if no model of the new image domain can be loaded.
    pub(crate) previous_domain: Option<PreviousDomain>,
    /// The id of the last attack, evaluation, probe or training command.
    pub(crate) last_id: u64,
}

/// The selection before the image domain changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreviousDomain {
    pub(crate) model_source: Source<BuiltinModel>,
    /// The built-in model of the permalink.
    pub(crate) builtin_model: BuiltinModel,
    pub(crate) sample: u64,
}

/// A model with its results for the current image.
#[derive(Clone, Copy, Debug)]
pub struct ModelResults<'a> {
    /// The slot of the model.
    pub slot: Slot,
    /// The model.
    pub model: &'a ModelInfo,
    /// Class probabilities of the original image; empty until it is classified.
    pub clean_probabilities: &'a [f32],
    /// The attack on the model.
    pub attack: &'a Attack,
}

impl State {
    /// The URL hash of the current state.
    pub fn hash(&self) -> String {
        self.hash_of(&self.permalink)
    }

    /// The URL hash of the current state without the step of the tour.
    pub fn hash_without_tour(&self) -> String {
        self.hash_of(&Permalink { tour: None, ..self.permalink.clone() })
    }

    fn hash_of(&self, permalink: &Permalink) -> String {
        let has_uploaded_model = matches!(self.model_source, Some(Source::Uploaded(_)));
        let has_uploaded_image = matches!(self.image_source, Some(Source::Uploaded(_)));
        permalink.hash(has_uploaded_model, has_uploaded_image)
    }

    /// Whether an attack on the model in focus runs or is scheduled.
    pub fn is_attacking(&self) -> bool {
        matches!(self.attack.phase, AttackPhase::Scheduled | AttackPhase::Running { .. })
    }

    /// The slot of the model in focus.
    pub fn slot(&self) -> Option<Slot> {
        self.model_source.map(Source::slot)
    }

    /// The file name of the model in a slot.
    pub fn model_name(&self, slot: Slot) -> Option<&str> {
        if self.slot() == Some(slot) {
            return self.model.as_ref().map(|model| model.name.as_str());
        }
        self.comparison.loaded.get(&slot).map(|compared| compared.model.name.as_str())
    }

    /// The models that the user can focus on: the built-in models of the image domain, and the uploaded model.
    pub fn available_models(&self) -> impl Iterator<Item = Source<BuiltinModel>> + use<> {
        let builtin = BuiltinModel::all(self.permalink.model.domain).map(Source::Builtin);
        builtin.chain(self.uploaded_model.map(Source::Uploaded))
    }

    /// The loaded models with the same classes as the model in focus, including that model, in the order of their slots.
    pub fn comparable_models(&self) -> Vec<ModelResults<'_>> {
        let (Some(slot), Some(model)) = (self.slot(), &self.model) else { return Vec::new() };
        let clean_probabilities = &self.clean_probabilities;
        let mut results = vec![ModelResults { slot, model, clean_probabilities, attack: &self.attack }];
        for (&slot, ComparedModel { model: other, clean_probabilities, attack }) in &self.comparison.loaded {
            if other.classes == model.classes {
                results.push(ModelResults { slot, model: other, clean_probabilities, attack });
            }
        }
        results.sort_by_key(|results| results.slot);
        results
    }

    /// Whether the worker is busy with something other than training, or about to be.
    pub(crate) fn has_foreground_job(&self) -> bool {
        self.is_attacking()
            || self.explorer.is_busy()
            || self.comparison.is_attacking()
            || self.comparison.fetching.is_some()
            || self.batch.as_ref().is_some_and(|batch| batch.running)
            || self.training.is_preparing()
            || self.training.loading_dataset.is_some()
            || self.training.run_evaluation.is_some()
    }

    /// Whether a run can be prepared now.
    pub fn can_prepare_run(&self) -> bool {
        self.backend.current.is_some() && !self.training.is_preparing() && self.training.loading_dataset.is_none()
    }
}
