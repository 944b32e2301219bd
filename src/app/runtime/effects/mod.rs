//! Runs effects: sends commands to workers, fetches and reads files, stores runs.

mod loading;
mod training;
mod workers;

use gloo::timers::callback::Timeout;
use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::app::{
    browser::files,
    domain::{action::Msg, effect::Effect},
    runtime::context::AppContext,
};

impl AppContext {
    /// Runs an effect. Its result arrives as a message.
    pub(crate) fn run_effect(self, effect: Effect) {
        match effect {
            Effect::StartWorker(kind) => self.start_worker(kind),
            Effect::ActivateWorker => self.activate_worker(),
            Effect::DropStartingWorker => self.resources.update_value(|resources| resources.starting = None),
            Effect::StopWorker => self.resources.update_value(|resources| resources.current = None),
            Effect::Send(command) => self.send_command(&command, JsValue::UNDEFINED),
            Effect::LoadModel(source) => self.load_model(source),
            Effect::LoadImage(file) => self.load_image(file),
            Effect::LoadPhoto(index) => self.load_photo(index),
            Effect::LoadReferenceImages => self.load_reference_images(),
            Effect::LoadFixture(file) => self.load_fixture(file),
            Effect::Download(name, bytes) => files::download_bytes(&name, &bytes),
            Effect::SaveRun(copy) => self.save_run(copy),
            Effect::SaveHistory(number, history) => self.save_history(number, history),
            Effect::DeleteSavedRun(number) => self.delete_saved_run(number),
            Effect::SaveDataset(file) => self.save_dataset(file),
            Effect::DeleteDataset(name) => self.delete_dataset(name),
            Effect::ResumeSavedRun(number, max_batch) => self.resume_saved_run(number, max_batch),
            Effect::ResumeRunFile(file) => self.resume_run_file(file),
            Effect::LoadRunModel(number) => self.load_run_model(number),
            Effect::LoadDataset(file) => self.load_dataset(file),
            Effect::OpenModelBytes(name, bytes) => self.open_model_bytes(&name, &bytes),
            Effect::StartAttackTimer(milliseconds) => self.start_attack_timer(milliseconds),
        }
    }

    fn open_model_bytes(self, name: &str, bytes: &[u8]) {
        if let Ok(blob) = files::blob(name, bytes)
            && let Ok(file) = files::file(name, &Array::of1(&blob))
        {
            self.open_files(vec![file]);
        }
    }

    fn start_attack_timer(self, milliseconds: u32) {
        let timer = Timeout::new(milliseconds, move || self.send(Msg::AttackTimerFired));
        self.resources.update_value(|resources| resources.attack_timer = Some(timer));
    }
}
