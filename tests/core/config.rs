//! Settings by name, as in command lines and URLs.

use otjr::{
    attack::{AttackConfig, AttackKind, Norm},
    settings::{Pixels, Settings, Value},
    train::TrainConfig,
};

use crate::tests;

tests! {
    /// Each setting of each config is parsed back from its text to the same value.
    fn settings_round_trip() {
        fn check<C: Settings + PartialEq + std::fmt::Debug>(config: C) {
            let mut other = C::default();
            for (key, value) in config.pairs() {
                other.set(key, &value).unwrap();
            }
            assert_eq!(other, config);
        }
        check(AttackConfig { norm: Norm::L2, epsilon: Pixels(0.123), random_start: false, seed: u64::MAX, ..Default::default() });
        check(TrainConfig::demo());
        check(TrainConfig::default());
    }

    /// Keys are unique, in kebab-case, and have a help text. They serve as options, URL parameters and labels.
    fn settings_are_presentable() {
        let settings: Vec<_> = TrainConfig::settings().into_iter().chain(AttackConfig::settings()).collect();
        for setting in &settings {
            assert!(!setting.help.is_empty(), "{setting:?}");
            assert!(!setting.key.contains('_'), "{setting:?}");
        }
        let mut keys: Vec<_> = TrainConfig::settings().iter().map(|s| s.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), TrainConfig::settings().len());
    }

    fn steps_are_a_quarter_of_the_radius() {
        for (norm, usual) in [(Norm::Linf, 2.0 / 255.0), (Norm::L2, 32.0 / 255.0), (Norm::L1, 3.0)] {
            let pgd = AttackConfig::of(AttackKind::Pgd, norm);
            assert_eq!(pgd.step.0, usual);
            assert_eq!(pgd.within(Pixels(1.0 / 255.0)).step.0, 0.25 / 255.0);
        }
    }

    fn fractions_of_255() {
        for (text, value, shown) in [("8/255", 8.0 / 255.0, "8/255"), ("0.031", 0.031, "0.031"), (" 1 / 4 ", 0.25, "0.25")] {
            let parsed = Pixels::parse(text).unwrap();
            assert_eq!((parsed.0, parsed.show().as_str()), (value, shown));
        }
        for text in ["", "abc", "8/0", "1/2/3", "inf", "nan", "8/"] {
            assert!(Pixels::parse(text).is_err(), "{text}");
        }
    }

    fn bad_values_are_refused_and_change_nothing() {
        let mut config = AttackConfig::default();
        for (key, value, problem) in [
            ("epsilon", "-1", "between 0 and 3072"),
            ("epsilon", "abc", "such as 0.03 or 8/255"),
            ("steps", "0", "between 1 and 10000"),
            ("steps", "2.5", "a whole number"),
            ("norm", "l3", "one of linf, l2, l1"),
            ("color", "red", "unknown setting"),
        ] {
            let error = config.set(key, value).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            assert!(error.contains(key), "{error}");
            assert!(error.contains(value), "{error}");
        }
        assert_eq!(config, AttackConfig::default());
    }
}
