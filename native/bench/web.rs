//! Some workloads of `bench` for the browser, built like the page's CPU worker. tests/speed/page.mjs measures them.

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

    /// A model with random weights and a batch of noise.
    #[wasm_bindgen]
    pub struct Work {
        model: Model,
        device: Device,
        batch: Batch,
    }

    fn js_error(error: impl std::fmt::Display) -> JsError {
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
            let device = platform::open(DeviceChoice::Cpu).await.map_err(js_error)?.device;
            let model = Model::new(model.parse().map_err(js_error)?, CLASSES, None, SEED, &device).map_err(js_error)?;
            Ok(Self { model, batch: Self::batch(images, &device), device })
        }

        /// Changes the batch size.
        pub fn resize(&mut self, images: usize) {
            self.batch = Self::batch(images, &self.device);
        }

        /// Returns the logits `[B, C]`.
        pub fn infer(&self) -> Vec<f32> {
            floats(self.model.logits(self.batch.x.clone()).into_data())
        }

        /// Returns the input gradient `[B, 3, 32, 32]`.
        pub fn input_gradient(&self) -> Vec<f32> {
            floats(inputs::input_gradient(&self.model, &self.batch.x, &self.batch.y).into_data())
        }

        /// Returns the pixels `[B, 3, 32, 32]`.
        pub fn pixels(&self) -> Vec<f32> {
            floats(self.batch.x.clone().into_data())
        }

        /// Returns the one-hot labels `[B, C]`.
        pub fn labels(&self) -> Vec<f32> {
            let y: Tensor<2> = self.batch.y.clone();
            floats(y.into_data())
        }

        /// Returns the model's arrays as JSON: an object from tensor names to `{shape, values}`.
        pub async fn weights(&self) -> Result<String, JsError> {
            let arrays = self.model.arrays().await.map_err(|e| js_error(format!("{e:?}")))?;
            let named = |(name, array): (String, otjr::model::parameter::Array)| {
                (name, json!({"shape": array.shape, "values": array.values}))
            };
            Ok(Value::Object(arrays.into_iter().map(named).collect::<Map<_, _>>()).to_string())
        }

        /// Starts to record the time of kernel operations.
        pub fn profile_start(&self) {
            profile::start();
        }

        /// Returns the recorded times as JSON. Timers have a resolution of milliseconds, so only sums of many calls are
        /// accurate.
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
    eprintln!("This program runs in a browser: node tests/speed/page.mjs builds and runs it.");
}
