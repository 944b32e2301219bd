//! URLs: every parameter is parsed and written back, and invalid parameters are reported.

use otjr::{
    app::{
        domain::{
            action::{Msg, UserAction},
            backend::{BackendKind, BackendPreference},
            builtin_model::BuiltinModel,
            effect::Effect,
            file_kind::FileKind,
        },
        state::{State, permalink::Permalink},
    },
    attack::{AttackConfig, AttackKind, Norm},
    protocol::{InitFrom, Slot},
    settings::Settings,
};

use super::{attacking, image, user};

#[test]
fn an_address_says_all_and_is_read_back() {
    let mut link = Permalink {
        model: BuiltinModel::STANDARD,
        sample: 12,
        target: Some(3),
        backend: BackendPreference::Gpu,
        ..Permalink::default()
    };
    link.attack = AttackConfig::of(AttackKind::ApgdDlr, Norm::L2);
    for (key, value) in [("epsilon", "0.3"), ("seed", "7"), ("restarts", "3"), ("steps", "20")] {
        link.attack.set(key, value).unwrap();
    }
    (link.init_from, link.batch_size) = (InitFrom::Model(Slot::Robust), 100);
    let hash = link.hash(false, false);
    assert!(hash.ends_with("&begin=otjr&pictures=100"), "{hash}");
    assert_eq!(Permalink::parse(&hash), (link, vec![]));
    let (usual, problems) = Permalink::parse(&Permalink::default().hash(false, false));
    assert_eq!((usual, problems.len()), (Permalink::default(), 0));
    let written = Permalink::default().hash(false, false);
    assert_eq!(written, "#model=otjr&sample=0&attack=pgd&norm=linf&epsilon=8/255&step=2/255&steps=20&backend=auto");
    assert_eq!(Permalink::parse("#epsilon=4%2F255").0.attack.get("epsilon").unwrap(), "4/255");
    assert_eq!(Permalink::parse("").0, Permalink::default());
    // The defaults depend on the attack, wherever the URL names it.
    assert_eq!(Permalink::parse("#norm=l2&attack=square").0.attack, AttackConfig::of(AttackKind::Square, Norm::L2));
    assert_eq!(Permalink::parse("#steps=7&attack=apgd-ce").0.attack.steps, 7);
    assert_eq!(Permalink::parse("#attack=apgd-ce").0.attack.steps, 100);
}

#[test]
fn bad_values_in_an_address_are_named_and_the_rest_is_kept() {
    for (bad, key) in [
        ("epsilon=-1", "epsilon"),
        ("epsilon=abc", "epsilon"),
        ("epsilon=nan", "epsilon"),
        ("steps=0", "steps"),
        ("steps=1.5", "steps"),
        ("model=gpt", "model"),
        ("sample=x", "sample"),
        ("sample=18446743073709551615", "sample"),
        ("target=star", "target"),
        ("backend=tpu", "backend"),
        ("attack=%%%", "attack"),
        ("speed=3", "speed"),
        ("begin=pgd", "begin"),
        ("begin=own", "begin"),
        ("pictures=7", "pictures"),
        ("steps", "steps"),
    ] {
        let (link, problems) = Permalink::parse(&format!("#seed=5&{bad}&restarts=2"));
        let mut expected = Permalink::default();
        (expected.attack.seed, expected.attack.restarts) = (5, 2);
        assert_eq!(link, expected, "{bad}");
        assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
        assert!(problems[0].contains(key), "{bad}: {problems:?}");
    }
    let (state, _) = State::new("#epsilon=-1");
    assert!(state.notices[0].text.contains("8/255 is used instead"), "{:?}", state.notices);
}

#[test]
fn files_of_the_users_own_stay_out_of_the_address() {
    let mut state = attacking("");
    assert_eq!(user(&mut state, UserAction::OpenFile(0, FileKind::Image)), [Effect::LoadImage(0)]);
    assert!(state.hash().contains("sample=0"), "not yet loaded");
    state.apply(Msg::Worker(BackendKind::Cpu, image(None, 1)));
    assert!(state.hash().contains("sample=own"));
    let (link, problems) = Permalink::parse(&state.hash());
    assert_eq!((link.sample, problems.len()), (0, 1));
}
