//! The image domain of photos: its files, its URLs, entering and leaving it.

use std::fs;

use otjr::{
    app::{
        domain::{
            action::{Msg, UserAction},
            backend::BackendKind,
            builtin_model::{BuiltinModel, ImageDomain},
            effect::Effect,
            file_kind::FileKind,
            sample_photos::PHOTOS,
            source::Source,
        },
        present::verdict::verdict,
        state::{State, permalink::Permalink},
    },
    checkpoint::Checkpoint,
    data::{crop::Crop, image::DecodedImage},
    protocol::{Command, ErrorScope, InitFrom, Slot},
};

use super::{attacked, attacking, image, model_at, opened, receive, result, user};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/public/photos");
const ROBUST: BuiltinModel = BuiltinModel { domain: ImageDomain::Photos, slot: Slot::Robust };

/// Each photo exists, is square, has an author and a license, and is at its position in the thumbnail sheet.
#[test]
fn photos_are_there_and_credited() {
    let credits = fs::read_to_string(format!("{FOLDER}/CREDITS.md")).unwrap();
    let sheet = DecodedImage::decode(&fs::read(format!("{FOLDER}/reference.png")).unwrap(), "sheet").unwrap();
    assert_eq!(sheet.size(), [32, 32 * PHOTOS.len() as u32]);
    let bytes = fs::read(format!("{FOLDER}/../models/photo-otjr.safetensors")).unwrap();
    let classes = Checkpoint::from_bytes(&bytes).unwrap().class_names(10);
    for (i, photo) in PHOTOS.iter().enumerate() {
        assert!(classes.iter().any(|class| class == photo.class()), "{} is none of {classes:?}", photo.class());
        let whole =
            DecodedImage::decode(&fs::read(format!("{FOLDER}/{}.jpg", photo.file)).unwrap(), photo.file).unwrap();
        assert_eq!(whole.size(), [256, 256], "{}", photo.file);
        let row = credits.lines().find(|row| row.contains(&format!("`{}.jpg`", photo.file))).expect(photo.file);
        assert!(row.contains(photo.by), "{row}");
        assert!(row.to_lowercase().contains(&photo.license.to_lowercase()), "{row}");
        let small = sheet.crop(Crop { x: 0, y: 32 * i as u32, side: 32 }).pixels;
        let shrunk = whole.crop(Crop::centered(whole.size())).pixels;
        let error: u32 = small.iter().zip(&shrunk).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        assert!(error / 3072 < 8, "{}: {} levels off", photo.file, error / 3072);
    }
}

#[test]
fn addresses_say_the_world() {
    let link = Permalink { model: BuiltinModel { slot: Slot::Standard, ..ROBUST }, sample: 3, ..Permalink::default() };
    let hash = link.hash(false, false);
    assert!(hash.starts_with("#model=photo-ce&sample=3&"), "{hash}");
    assert_eq!(Permalink::parse(&hash), (link, vec![]));
    let last = PHOTOS.len() as u64 - 1;
    assert_eq!(Permalink::parse(&format!("#sample={last}&model=photo-otjr")).0.sample, last);
    let (link, problems) = Permalink::parse(&format!("#sample={}&model=photo-otjr", last + 1));
    assert!(link.sample == 0, "{problems:?}");
    assert!(problems[0].contains("there is no such sample"), "{problems:?}");
    let (_, tasks) = State::new("#model=photo-otjr&sample=5");
    assert_eq!(tasks, [Effect::StartWorker(BackendKind::Cpu)]);
    let mut state = State::new("#model=photo-otjr&sample=5").0;
    let tasks = state.apply(Msg::Worker(BackendKind::Cpu, opened()));
    let model = Effect::LoadModel(Source::Builtin(ROBUST));
    assert_eq!(tasks, [Effect::ActivateWorker, Effect::LoadReferenceImages, Effect::LoadPhoto(5), model]);
}

/// Models are compared only within an image domain, and each domain has its own samples.
#[test]
fn a_world_is_entered_and_left() {
    let mut state = attacking("#sample=900");
    let id = state.attack.id;
    receive(&mut state, attacked(id, false, result([0.9, 0.05, 0.05], false)));
    receive(&mut state, model_at(Slot::Standard));
    assert!(state.comparison.loaded.contains_key(&Slot::Standard));
    let tasks = user(&mut state, UserAction::SelectModel(Source::Builtin(ROBUST)));
    let forget = Effect::Send(Command::UnloadBuiltinModels);
    let expected =
        [Effect::LoadReferenceImages, forget.clone(), Effect::LoadPhoto(0), Effect::LoadModel(Source::Builtin(ROBUST))];
    assert_eq!(tasks, expected);
    assert!(state.comparison.loaded.is_empty());
    receive(&mut state, image(None, 7));
    receive(&mut state, model_at(Slot::Robust));
    assert_eq!((state.model_source, state.comparison.loaded.len()), (Some(Source::Builtin(ROBUST)), 0));
    let known: Vec<_> = state.available_models().collect();
    assert!(known.into_iter().eq(BuiltinModel::all(ImageDomain::Photos).map(Source::Builtin)));
    assert_eq!(user(&mut state, UserAction::SelectSample(PHOTOS.len() as u64 + 2)), [Effect::LoadPhoto(2)]);

    // The URL changes the image domain, too.
    let tasks = user(&mut state, UserAction::Navigate("#model=ce&sample=2".into()));
    let standard = Effect::LoadModel(Source::Builtin(BuiltinModel::STANDARD));
    assert_eq!(tasks, [forget, Effect::Send(Command::LoadSample { index: 2 }), standard]);
}

/// The PGD-trained model exists for photos but not for shapes.
#[test]
fn the_rival_is_one_of_the_photos_models() {
    let rival = BuiltinModel { slot: Slot::Adversarial, ..ROBUST };
    assert_eq!(Permalink::parse("#model=photo-pgd").0.model, rival);
    assert_eq!((rival.file(), rival.title()), ("photo-pgd.safetensors".into(), "PGD-trained"));
    assert_eq!(rival.in_domain(ImageDomain::Shapes), BuiltinModel::ROBUST);
    assert_eq!(BuiltinModel::STANDARD.in_domain(ImageDomain::Photos).key(), "photo-ce");
}

/// A run cannot start from a model that the new image domain does not have.
#[test]
fn the_origin_of_runs_is_of_this_world() {
    let mut state = attacking("#sample=5");
    for (slot, after) in [(Slot::Adversarial, InitFrom::Scratch), (Slot::Standard, InitFrom::Model(Slot::Standard))] {
        user(&mut state, UserAction::SelectModel(Source::Builtin(ROBUST)));
        state.permalink.init_from = InitFrom::Model(slot);
        user(&mut state, UserAction::SelectModel(Source::Builtin(BuiltinModel::ROBUST)));
        assert_eq!(state.permalink.init_from, after);
    }
}

/// If no file of an image domain can be loaded, the page returns to the previous domain.
#[test]
fn a_world_that_cannot_be_had_is_left() {
    let mut state = attacking("#sample=5");
    user(&mut state, UserAction::SelectModel(Source::Builtin(ROBUST)));
    let verdict = verdict(&state).sentence;
    assert!(!verdict.contains("Your model"), "{verdict}");
    state.permalink.init_from = InitFrom::Model(Slot::Adversarial);
    for subject in [ErrorScope::Reference, ErrorScope::Image] {
        state.apply(Msg::ReadFailed(subject, "offline".into()));
    }
    let tasks = state.apply(Msg::ReadFailed(ErrorScope::Model, "offline".into()));
    let robust = Source::Builtin(BuiltinModel::default());
    assert_eq!(tasks, [Effect::Send(Command::LoadSample { index: 5 }), Effect::LoadModel(robust)]);
    assert_eq!((state.permalink.model, state.permalink.sample), (BuiltinModel::default(), 5));
    assert_eq!(state.permalink.init_from, InitFrom::Scratch, "of a world that is not there");
    receive(&mut state, image(Some("disc"), 9));
    receive(&mut state, model_at(Slot::Robust));
    assert_eq!(state.model_source, Some(robust));
    // There is no previous state to return to.
    let tasks = state.apply(Msg::ReadFailed(ErrorScope::Model, "gone".into()));
    assert!(!tasks.contains(&Effect::LoadModel(robust)), "{tasks:?}");
}

/// An uploaded image stays selected when the image domain changes.
#[test]
fn an_own_image_stays() {
    let mut state = attacking("");
    user(&mut state, UserAction::OpenFile(0, FileKind::Image));
    let tasks = user(&mut state, UserAction::SelectModel(Source::Builtin(ROBUST)));
    let forget = Effect::Send(Command::UnloadBuiltinModels);
    assert_eq!(tasks, [Effect::LoadReferenceImages, forget, Effect::LoadModel(Source::Builtin(ROBUST))]);
    assert_eq!(state.requested_image, Some(Source::Uploaded(0)));
}
