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
            comparison::Comparison,
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

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub permalink: Permalink,
    pub backend: Backend,
    /// The model in focus.
    pub model: Option<ModelInfo>,
    pub image: Option<ImageInfo>,
    /// Which square of its file the image is, if it is a square of one.
    pub crop: Option<CropState>,
    /// The user's images, in the order in which they came.
    pub uploads: Vec<UserImage>,
    /// Probabilities of the clean image; empty until it is classified.
    pub clean_probabilities: Vec<f32>,
    pub attack: Attack,
    /// The other models.
    pub comparison: Comparison,
    /// What is known for the views.
    pub explorer: ExplorerCache,
    pub saved_image: Option<SavedImage>,
    /// None until it is asked for.
    pub batch: Option<BatchAttack>,
    pub training: Training,
    pub backend_check: Option<BackendCheck>,
    pub notices: Vec<Notice>,
    /// What is in use; and what was asked for last, which is on its way if it differs.
    pub model_in_use: Option<Source<BuiltinModel>>,
    pub model_wanted: Option<Source<BuiltinModel>>,
    /// The last model file of the user's that was taken, and the last image.
    pub uploaded_model: Option<usize>,
    pub(crate) uploaded_image: Option<usize>,
    /// What to go back to if nothing of the world that was entered can be had: the model, the shipped one of its world, and
    /// the sample.
    pub(crate) left: Option<(Source<BuiltinModel>, BuiltinModel, u64)>,
    pub image_in_use: Option<Source<u64>>,
    pub image_wanted: Option<Source<u64>>,
    pub(crate) last_notice_id: usize,
    /// Something long took the worker from the attack on the image, which is made anew after it.
    pub(crate) attack_preempted: bool,
    /// The number of the last attack or evaluation.
    pub(crate) last_id: u64,
}

impl State {
    pub fn hash(&self) -> String {
        self.hash_of(&self.permalink)
    }

    /// The address of what is in view, without the tour that led there.
    pub fn hash_without_tour(&self) -> String {
        self.hash_of(&Permalink { tour: None, ..self.permalink.clone() })
    }

    fn hash_of(&self, link: &Permalink) -> String {
        let uploaded_model = matches!(self.model_in_use, Some(Source::Uploaded(_)));
        link.hash(uploaded_model, matches!(self.image_in_use, Some(Source::Uploaded(_))))
    }

    /// Whether an attack runs or is about to.
    pub fn busy(&self) -> bool {
        matches!(self.attack.phase, AttackPhase::Scheduled | AttackPhase::Running { .. })
    }

    /// The place of the model in focus.
    pub fn slot(&self) -> Option<Slot> {
        self.model_in_use.map(Source::slot)
    }

    /// The file's name of the model in a place.
    pub fn name_of(&self, slot: Slot) -> Option<&str> {
        let side = || self.comparison.loaded.get(&slot).map(|side| &side.model);
        let model = if self.slot() == Some(slot) { self.model.as_ref() } else { side() };
        model.map(|model| model.name.as_str())
    }

    /// The models that the page has or can have.
    pub fn known_models(&self) -> impl Iterator<Item = Source<BuiltinModel>> + use<> {
        BuiltinModel::all(self.permalink.model.domain)
            .map(Source::Builtin)
            .chain(self.uploaded_model.map(Source::Uploaded))
    }

    /// The models that can be compared: what is in focus, and what knows the same classes.
    pub fn comparable(&self) -> impl Iterator<Item = (Slot, &ModelInfo, &[f32], &Attack)> {
        let focus = self.slot().zip(self.model.as_ref());
        let classes = self.model.as_ref().map(|m| &m.classes);
        let beside = self.comparison.loaded.iter().filter(move |(_, side)| Some(&side.model.classes) == classes);
        let focus = focus.map(|(slot, model)| (slot, model, &self.clean_probabilities[..], &self.attack));
        let mut all: Vec<_> =
            focus.into_iter().chain(beside.map(|(slot, s)| (*slot, &s.model, &s.clean[..], &s.attack))).collect();
        all.sort_by_key(|(slot, ..)| *slot);
        all.into_iter()
    }

    /// Whether the worker does something other than training, or is about to.
    pub(crate) fn computes_otherwise(&mut self) -> bool {
        self.busy()
            || self.explorer.busy()
            || self.comparison.running().is_some()
            || self.comparison.fetching.is_some()
            || self.batch.as_ref().is_some_and(|many| many.running)
            || self.training.is_preparing()
            || self.training.loading_dataset.is_some()
            || self.training.run_evaluation.is_some()
    }

    /// Whether a run can be prepared now.
    pub fn can_prepare_run(&self) -> bool {
        self.backend.current.is_some() && !self.training.is_preparing() && self.training.loading_dataset.is_none()
    }
}
