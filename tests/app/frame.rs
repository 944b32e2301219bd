//! Own images, the square that the model sees of them, and files of attacks, in the page's state.

use otjr::{
    app::{
        domain::{
            action::{Msg, UserAction},
            builtin_model::{BuiltinModel, ImageDomain},
            effect::Effect,
            file_kind::FileKind,
            source::Source,
        },
        present::export::saved_message,
        state::{State, attack::AttackPhase},
    },
    data::crop::Crop,
    protocol::{AttackImage, Command, ErrorScope, Event, ImageExport, ImageInfo, Slot, SourceImage},
};

use super::{attacked, attacking, model_at, opened, receive, result, user};

fn square(crop: Crop) -> Event {
    let pixels = vec![crop.x as u8; 3072];
    let image =
        ImageInfo { name: "p".into(), pixels, original: [90, 60], crop: Some(crop), label: None, notes: Vec::new() };
    Event::ImageLoaded { image }
}

fn ask(crop: Crop) -> Vec<Effect> {
    vec![Effect::Send(Command::CropImage { crop })]
}

fn at(x: u32) -> Crop {
    Crop { x, y: 0, side: 60 }
}

/// A page that shows the user's second image of two, 90 x 60.
fn with_own_image() -> State {
    let mut state = attacking("");
    for file in 0..2 {
        assert_eq!(user(&mut state, UserAction::AddUpload(file, format!("{file}.png"))), []);
    }
    assert_eq!(user(&mut state, UserAction::OpenFile(1, FileKind::Image)), [Effect::LoadImage(1)]);
    load(&mut state);
    state
}

fn load(state: &mut State) -> Vec<Effect> {
    let whole = SourceImage { size: [90, 60], preview_size: [90, 60], preview: vec![0; 90 * 60 * 3] };
    receive(state, Event::SourceImage { image: whole });
    receive(state, square(at(15)))
}

#[test]
fn the_worker_is_asked_for_one_square_at_a_time_and_last_for_the_last() {
    let mut state = with_own_image();
    assert_eq!(state.crop.as_ref().unwrap().crop, at(15));
    assert_eq!(user(&mut state, UserAction::SetCrop(at(16))), ask(at(16)));
    for x in [17, 20, 25] {
        assert_eq!(user(&mut state, UserAction::SetCrop(at(x))), []);
    }
    assert_eq!(receive(&mut state, square(at(16))), ask(at(25)));
    assert_eq!(receive(&mut state, square(at(25))), []);
    assert_eq!(state.image.as_ref().unwrap().crop, Some(at(25)));
    // Nothing outside the image.
    assert_eq!(user(&mut state, UserAction::SetCrop(Crop { x: 80, y: 9, side: 500 })), ask(at(30)));
}

#[test]
fn each_image_keeps_its_square() {
    let mut state = with_own_image();
    user(&mut state, UserAction::SetCrop(at(3)));
    receive(&mut state, square(at(3)));
    user(&mut state, UserAction::OpenFile(0, FileKind::Image));
    assert_eq!(load(&mut state), [], "the other image is seen from the middle");
    user(&mut state, UserAction::OpenFile(1, FileKind::Image));
    assert_eq!(load(&mut state), ask(at(3)));
    // A sample is no square of anything.
    user(&mut state, UserAction::SelectSample(2));
    receive(&mut state, super::image(Some("disc"), 200));
    assert_eq!(state.crop, None);
    assert_eq!(user(&mut state, UserAction::SetCrop(at(4))), []);
    assert_eq!(state.uploads.len(), 2);
}

/// A photo's square is in the address once it rests, is found there again, and goes with the photo.
#[test]
fn the_square_of_a_photo_is_in_the_address() {
    let mut state = attacking("");
    user(
        &mut state,
        UserAction::SelectModel(Source::Builtin(BuiltinModel { domain: ImageDomain::Photos, slot: Slot::Robust })),
    );
    load(&mut state);
    receive(&mut state, model_at(Slot::Robust));
    let seen = || Event::Classified { slot: Slot::Robust, probabilities: vec![0.9, 0.06, 0.04] };
    let put = |state: &mut State, crop: Crop| {
        let before = state.hash();
        assert_eq!(user(state, UserAction::SetCrop(crop)), ask(crop));
        assert_eq!(state.hash(), before, "it is still on its way");
        receive(state, square(crop));
        receive(state, seen());
        state.apply(Msg::AttackTimerFired);
        state.hash()
    };
    let there = put(&mut state, at(20));
    assert!(there.starts_with("#model=photo-otjr&sample=0&crop=20,0,60&"), "{there}");
    let middle = put(&mut state, at(15));
    assert!(!middle.contains("crop="), "{middle}");
    assert_eq!(user(&mut state, UserAction::Navigate(there.clone())), ask(at(20)));
    assert_eq!(state.hash(), there);
    user(&mut state, UserAction::SelectSample(1));
    assert!(!state.hash().contains("crop="));

    let (mut state, _) = State::new(&there);
    receive(&mut state, opened());
    assert_eq!(load(&mut state), ask(at(20)));
    assert_eq!((state.hash(), &state.notices[..]), (there, &[][..]));
    let (state, _) = State::new("#crop=1,2");
    assert!(state.notices[0].text.contains("The centered crop is used instead"), "{:?}", state.notices);
}

#[test]
fn keys_move_and_zoom() {
    let mut state = with_own_image();
    user(&mut state, UserAction::SetCrop(Crop { x: 30, y: 20, side: 32 }));
    let frame = state.crop.clone().unwrap();
    for (key, crop) in [
        ("ArrowLeft", Some(Crop { x: 28, y: 20, side: 32 })),
        ("ArrowRight", Some(Crop { x: 32, y: 20, side: 32 })),
        ("ArrowUp", Some(Crop { x: 30, y: 18, side: 32 })),
        ("ArrowDown", Some(Crop { x: 30, y: 22, side: 32 })),
        ("+", Some(Crop { x: 32, y: 22, side: 29 })),
        ("-", Some(Crop { x: 28, y: 18, side: 36 })),
        ("0", Some(at(15))),
        ("a", None),
    ] {
        assert_eq!(frame.after_key(key), crop, "{key}");
    }
}

#[test]
fn a_image_that_cannot_be_read_is_not_offered_again() {
    let mut state = with_own_image();
    user(&mut state, UserAction::AddUpload(2, "notes.png".into()));
    user(&mut state, UserAction::OpenFile(2, FileKind::Image));
    receive(&mut state, Event::Failed { scope: ErrorScope::Image, message: "is not an image".into() });
    assert_eq!(state.uploads.iter().map(|own| own.file).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(state.requested_image, Some(Source::Uploaded(1)));
    // What could not be fetched says so, and leaves all else alone.
    let before = (state.requested_image, state.uploads.clone());
    assert_eq!(state.apply(Msg::Notify("no".into())), []);
    assert_eq!((state.requested_image, state.uploads.clone()), before);
    assert_eq!(state.notices.last().unwrap().text, "No.");
}

#[test]
fn an_attack_becomes_a_file_once_it_is_over() {
    let mut state = attacking("#epsilon=4/255");
    assert_eq!(user(&mut state, UserAction::ExportImage(AttackImage::Adversarial)), [], "it still runs");
    let id = state.attack.id;
    receive(&mut state, attacked(id, false, result([0.1, 0.8, 0.1], true)));
    let tasks = user(&mut state, UserAction::ExportImage(AttackImage::Adversarial));
    let [
        Effect::Send(Command::ExportImage(ImageExport {
            slot: Slot::Robust,
            image: AttackImage::Adversarial,
            original,
            adversarial,
            settings,
            target: None,
        })),
    ] = &tasks[..]
    else {
        panic!("{tasks:?}")
    };
    assert_eq!((original, adversarial), (&vec![9; 3072], &vec![0.5; 3072]));
    assert!(settings.contains(&("epsilon".into(), "4/255".into())));
    let saved =
        |fools| Event::ImageExported { name: "a.png".into(), png: vec![1], probabilities: vec![0.2, 0.7, 0.1], fools };
    assert_eq!(receive(&mut state, saved(true)), [Effect::Download("a.png".into(), vec![1])]);
    assert!(saved_message(&state).contains("a.png is saved"));
    assert!(saved_message(&state).contains("still fools the model, which predicts ring (70 %)"));
    receive(&mut state, saved(false));
    assert!(saved_message(&state).contains("no longer fools"), "{}", saved_message(&state));
    // It says nothing about the next attack.
    user(&mut state, UserAction::Rerun);
    state.apply(Msg::AttackTimerFired);
    assert_eq!((saved_message(&state).as_str(), state.attack.phase), ("", AttackPhase::Running { done: 0, total: 0 }));
}
