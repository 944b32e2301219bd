//! Some workloads of `bench` for a browser, built as the page's CPU worker is; tests/speed/page.mjs measures them.

#[cfg(target_arch = "wasm32")]
mod inputs;

#[cfg(target_arch = "wasm32")]
mod browser {
    use burn::tensor::{Device, Tensor, TensorData};
    use otjr::{
        batch::Batch,
        kernel::profile,
        model::{Classifier, Model},
        platform::{self, DeviceChoice},
    };
    use serde_json::{Map, Value, json};
    use wasm_bindgen::prelude::*;

    use super::inputs::{self, CLASSES, SEED};

    /// A fresh model and a batch of noise.
    #[wasm_bindgen]
    pub struct Work {
        model: Model,
        device: Device,
        batch: Batch,
    }

    fn told(error: impl std::fmt::Display) -> JsError {
        JsError::new(&error.to_string())
    }

    fn floats(data: TensorData) -> Vec<f32> {
        data.iter().collect()
    }

    impl Work {
        fn batch(images: usize, device: &Device) -> Batch {
            Batch::new(&inputs::noise(images, CLASSES), &(0..images).collect::<Vec<_>>(), device)
        }
    }

    #[wasm_bindgen]
    impl Work {
        pub async fn new(model: String, images: usize) -> Result<Work, JsError> {
            console_error_panic_hook::set_once();
            let device = platform::open(DeviceChoice::Cpu).await.map_err(told)?.device;
            let model = Model::new(model.parse().map_err(told)?, CLASSES, None, SEED, &device).map_err(told)?;
            Ok(Self { model, batch: Self::batch(images, &device), device })
        }

        /// Another number of images.
        pub fn resize(&mut self, images: usize) {
            self.batch = Self::batch(images, &self.device);
        }

        /// Logits `[B, C]`.
        pub fn infer(&self) -> Vec<f32> {
            floats(self.model.logits(self.batch.x.clone()).into_data())
        }

        /// `[B, 3, 32, 32]`
        pub fn input_gradient(&self) -> Vec<f32> {
            floats(inputs::input_gradient(&self.model, &self.batch.x, &self.batch.y).into_data())
        }

        /// Pixels `[B, 3, 32, 32]`.
        pub fn pixels(&self) -> Vec<f32> {
            floats(self.batch.x.clone().into_data())
        }

        /// One-hot, `[B, C]`.
        pub fn labels(&self) -> Vec<f32> {
            let y: Tensor<2> = self.batch.y.clone();
            floats(y.into_data())
        }

        /// The model's arrays as JSON, by their names in a state dict: `{shape, values}`.
        pub async fn weights(&self) -> Result<String, JsError> {
            let arrays = self.model.arrays().await.map_err(|e| told(format!("{e:?}")))?;
            let named = |(name, array): (String, otjr::model::parameter::Array)| {
                (name, json!({"shape": array.shape, "values": array.values}))
            };
            Ok(Value::Object(arrays.into_iter().map(named).collect::<Map<_, _>>()).to_string())
        }

        /// From here on it is recorded where time goes.
        pub fn profile_start(&self) {
            profile::start();
        }

        /// What was recorded, as JSON. Timers tell milliseconds apart: only sums of many calls say something.
        pub fn profile_stop(&self) -> String {
            let entries = profile::stop().into_iter().map(|entry| {
                let ms = 1e3 * entry.seconds;
                json!({
                    "name": entry.name, "shape": entry.shape, "calls": entry.calls, "ms": ms,
                    "gflops": 2e-6 * entry.multiply_adds as f64 / ms,
                })
            });
            Value::Array(entries.collect()).to_string()
        }
    }
}

pub fn main() {
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("It runs in a browser: node tests/speed/page.mjs builds and measures it.");
}
