//! The loaded models, and their predictions for the current image.

use super::{
    CommandError, Session, attack_failed,
    probe::{AdversarialPairs, LastAttack},
    softmax,
};
use crate::{
    attack,
    checkpoint::Checkpoint,
    data::{IMAGE_LEN, IMAGE_SIZE, ImageSet, crop::Crop, image::DecodedImage},
    explore::embedding::Embedding,
    model::Model,
    protocol::{ErrorScope, Event, ModelInfo, Slot},
};

/// A loaded model, and results that probes use again.
pub struct LoadedModel {
    pub model: Model,
    pub info: ModelInfo,
    /// The last attack on the current image.
    pub last_attack: Option<LastAttack>,
    /// Embedding of the reference images, computed when first needed.
    pub embedding: Option<Embedding>,
    /// Adversarial examples of the reference images, computed when first needed.
    pub adversarial_pairs: Option<AdversarialPairs>,
}

impl Session {
    pub(super) async fn load_model(&mut self, slot: Slot, name: String, bytes: &[u8]) -> Result<(), CommandError> {
        let invalid = |e: &dyn std::fmt::Display| CommandError::new(ErrorScope::Model, format_args!("{name}: {e}"));
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(|e| invalid(&e))?;
        let mut model = Model::from_arrays(&checkpoint.model_arrays(), self.device()?).map_err(|e| invalid(&e))?;
        let info = ModelInfo {
            architecture: model.architecture.to_string(),
            objective: checkpoint.metadata.get("objective").cloned(),
            parameters: model.parameters(),
            classes: checkpoint.class_names(model.classes),
            name,
        };
        self.emit(Event::ModelLoaded { slot, model: info.clone() });
        let loaded = LoadedModel { model, info, last_attack: None, embedding: None, adversarial_pairs: None };
        self.models.insert(slot, loaded);
        if slot == Slot::Run { Ok(()) } else { self.classify(slot).await }
    }

    pub(super) fn unload_builtin_models(&mut self) -> Result<(), CommandError> {
        self.models.retain(|slot, _| matches!(slot, Slot::Custom | Slot::Run));
        Ok(())
    }

    pub(super) fn load_reference_images(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let sheet = DecodedImage::decode(bytes, "the file of reference images")
            .map_err(|e| CommandError::new(ErrorScope::Reference, e))?;
        let side = IMAGE_SIZE as u32;
        let count = sheet.size()[1] / side;
        let pixels: Vec<u8> = (0..count).flat_map(|i| sheet.crop(Crop { x: 0, y: i * side, side }).pixels).collect();
        // Probes use the classes that the model predicts, so that these labels are never read.
        self.reference = ImageSet { labels: vec![0; pixels.len() / IMAGE_LEN], pixels, classes: Vec::new() };
        for loaded in self.models.values_mut() {
            loaded.embedding = None;
            loaded.adversarial_pairs = None;
        }
        Ok(())
    }

    /// Classifies the clean image, if both the model and an image are loaded.
    pub(super) async fn classify(&self, slot: Slot) -> Result<(), CommandError> {
        if let (Some(loaded), Some(image)) = (self.models.get(&slot), &self.image) {
            let probabilities =
                self.probabilities(&loaded.model, &image.to_unit_range()).await.map_err(|e| match e {
                    attack::Error::NotFinite => CommandError::new(ErrorScope::Model, e),
                    e => attack_failed(e),
                })?;
            self.emit(Event::Classified { slot, probabilities });
        }
        Ok(())
    }

    /// Returns the class probabilities `[C]` that a model predicts for one image.
    pub(super) async fn probabilities(&self, model: &Model, x: &[f32]) -> Result<Vec<f32>, attack::Error> {
        let oracle = self.oracle(model, 1).map_err(|e| attack::Error::Device(e.message))?;
        Ok(softmax(oracle.logits(x).await?.row(0)))
    }
}
