//! What the page says and draws: sentences, numbers, sliders, colors.

use otjr::{
    app::{
        chart::colormap::DIVERGING,
        domain::{
            action::Msg,
            backend::BackendKind,
            format::{in_255ths, percent, with_nbsp},
        },
        present::{
            attack_trace::attack_summary,
            class_probabilities::top_classes,
            rgba, slider_stops,
            verdict::{Outcome, Verdict, verdict},
        },
        state::attack::AttackPhase,
    },
    attack::{AttackConfig, Norm},
    protocol::{Event, QueryCounts, Trace},
    settings::Settings,
};

use super::{attacking, image, result, trace};

#[test]
fn a_number_stays_beside_its_percent() {
    assert_eq!(with_nbsp("disc (> 99 %) becomes star (38 %)"), "disc (>\u{a0}99\u{a0}%) becomes star (38\u{a0}%)");
}

#[test]
fn the_sentence_says_what_happened() {
    let mut state = attacking("#model=ce");
    let mut after = |p, reached| {
        state.attack.result = Some(result(p, reached));
        verdict(&state)
    };
    let Verdict { outcome, sentence: text } = after([0.02, 0.01, 0.97], true);
    assert_eq!(outcome, Outcome::Fooled);
    assert_eq!(
        text,
        "The standard model is fooled: disc (98 %) becomes star (97 %) with a perturbation of at most 8/255 per pixel."
    );
    let Verdict { outcome, sentence: text } = after([0.9, 0.05, 0.05], false);
    assert_eq!(outcome, Outcome::Resists);
    assert_eq!(
        text,
        "The standard model resists: disc (98 %) stays disc (90 %) with a perturbation of at most 8/255 per pixel."
    );
    state.apply(Msg::Worker(BackendKind::Cpu, image(Some("ring"), 7)));
    state.clean_probabilities = vec![0.98, 0.01, 0.01];
    assert_eq!(verdict(&state).sentence, "The standard model predicts disc (98 %, but the image shows ring).");
    // Then it does not hold, whatever the attack comes to.
    let mut after = |p, reached| {
        state.attack.result = Some(result(p, reached));
        verdict(&state)
    };
    let Verdict { outcome, sentence: text } = after([0.9, 0.05, 0.05], false);
    assert_eq!(outcome, Outcome::Misclassified);
    assert_eq!(
        text,
        "The standard model is wrong without an attack: it predicts disc (98 %, but the image shows ring); a perturbation of \
         at most 8/255 per pixel does not change the class: disc (90 %)."
    );
    let Verdict { outcome, sentence: text } = after([0.02, 0.97, 0.01], true);
    assert_eq!(outcome, Outcome::Misclassified);
    assert!(text.ends_with("; a perturbation of at most 8/255 per pixel changes this to ring (97 %)."), "{text}");
    // A model of other classes is not wrong about one that it does not know.
    state.apply(Msg::Worker(BackendKind::Cpu, image(Some("cat"), 8)));
    state.clean_probabilities = vec![0.98, 0.01, 0.01];
    assert_eq!(verdict(&state).sentence, "The standard model predicts disc (98 %).");
}

#[test]
fn numbers_are_short_and_honest() {
    assert_eq!([0.0, 0.004, 0.5, 0.996, 1.0].map(percent), ["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]);
    assert_eq!(percent(f32::NAN), "–");
    assert_eq!([8.0 / 255.0, 0.0, 0.011].map(in_255ths), ["8/255", "0/255", "2.8/255"]);
    assert_eq!(top_classes(&[0.1, 0.2, 0.7], &[0.9, 0.05, 0.05], 2), [0, 2]);
    assert_eq!(top_classes(&[0.1, 0.2, 0.7], &[], 5), [0, 1, 2]);
}

#[test]
fn sliders_stop_at_sensible_values_that_settings_take() {
    for setting in AttackConfig::settings() {
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let stops = slider_stops::stops(&setting, norm);
            for (i, stop) in stops.iter().enumerate() {
                AttackConfig::default().set(setting.key, stop).unwrap();
                assert_eq!(slider_stops::nearest(&stops, stop), i, "{}: {stop}", setting.key);
            }
            if norm == Norm::Linf && setting.unit == "pixel" {
                assert!(stops[1..].iter().all(|stop| stop.ends_with("/255")), "{}: {stops:?}", setting.key);
            }
            let usual = AttackConfig::default().get(setting.key).unwrap();
            if norm == Norm::Linf && !stops.is_empty() {
                assert!(stops.contains(&usual), "{}: {usual} in {stops:?}", setting.key);
            }
        }
    }
}

#[test]
fn what_several_attacks_did_is_said_in_order() {
    let mut state = attacking("#attack=autoattack");
    let id = state.attack.id;
    let traces = vec![
        trace("apgd-ce", false),
        Trace { queries: QueryCounts { forward: 31, backward: 0 }, ..trace("square", true) },
    ];
    let flags = vec!["careful".to_owned()];
    let mut fooled = result([0.1, 0.8, 0.1], true);
    fooled.distance = Some(7.5 / 255.0);
    let done =
        Event::AttackDone { id, stopped: false, milliseconds: 1.0, result: fooled, traces, flags, transfer: vec![] };
    state.apply(Msg::Worker(BackendKind::Cpu, done));
    assert_eq!(
        attack_summary(&state),
        "apgd-ce fails in 20 steps, 22 forward passes, 20 gradients; square succeeds in 20 steps, 31 forward passes; the \
         smallest successful perturbation has size 7.5/255."
    );
    assert_eq!(state.attack.flags, ["careful"]);
    assert!(matches!(state.attack.phase, AttackPhase::Done { steps: 40, .. }));
    // Another image, another story.
    state.apply(Msg::Worker(BackendKind::Cpu, image(None, 1)));
    assert!(state.attack.traces.is_empty());
    assert!(state.attack.flags.is_empty());
}

#[test]
fn changes_are_drawn_around_a_neutral_middle() {
    let clean = [100; 3];
    let at = |d: f32| rgba::from_difference(&clean, &[100.0 / 255.0 + d; 3], 0.1);
    let [middle, up, down] = [0, 6, 0].map(|i| DIVERGING[i]);
    assert_eq!(at(0.0)[..3], DIVERGING[3]);
    assert_eq!(at(0.5)[..3], up);
    assert_eq!(at(-0.1)[..3], down);
    assert_ne!(middle, up);
    assert_eq!(rgba::from_floats(&[0.0, 0.5, 1.0]), [0, 128, 255, 255]);
}
