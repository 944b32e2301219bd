//! Bytes -> pictures.

mod data {
    mod augment;
    mod cifar;
    mod folder;
    mod picture;
    mod synthetic;

    use otjr::data::Error;

    /// That `result` is refused with a message that holds each of `parts`.
    #[track_caller]
    pub fn assert_refused<T>(result: Result<T, Error>, parts: &[&str]) {
        let message = result.err().expect("it was accepted").to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    /// FNV-1a: enough to notice a changed bit, and no dependency.
    pub fn hash(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}
