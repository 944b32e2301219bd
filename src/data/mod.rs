//! Bytes -> pictures -> batches. Readers take `impl Read`; only [`cifar::open`] and [`folder::open`] open files.

pub mod archive;
pub mod augment;
pub mod cifar;
pub mod corruption;
pub mod crop;
pub mod folder;
pub mod npz;
pub mod picture;
pub mod synthetic;

/// Side of the square pictures that the models see, in pixels.
pub const SIDE: usize = 32;
/// Values of one picture: 3 planes (R, G, B) of `SIDE * SIDE`.
pub const VALUES: usize = 3 * SIDE * SIDE;

/// Labelled pictures held as bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pictures {
    /// `[N, 3, SIDE, SIDE]`, 0..=255.
    pub pixels: Vec<u8>,
    /// `[N]`, each below `classes.len()`.
    pub labels: Vec<u16>,
    /// The classes' names, by label.
    pub classes: Vec<String>,
}

impl Pictures {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pictures `ids`, in that order.
    pub fn select(&self, ids: &[usize]) -> Self {
        Self {
            pixels: ids.iter().flat_map(|&i| self.picture(i)).copied().collect(),
            labels: ids.iter().map(|&i| self.labels[i]).collect(),
            classes: self.classes.clone(),
        }
    }

    /// At most `n` of the pictures, spread evenly over the set: files may be sorted by class.
    pub fn spread(&self, n: usize) -> Self {
        let n = n.min(self.len());
        self.select(&(0..n).map(|i| i * self.len() / n).collect::<Vec<_>>())
    }

    /// Takes `n` of the pictures out, spread evenly over the set.
    pub fn set_aside(&mut self, n: usize) -> Self {
        let taken = self.spread(n);
        let n = taken.len();
        let ids: std::collections::BTreeSet<usize> = (0..n).map(|i| i * self.len() / n).collect();
        *self = self.select(&(0..self.len()).filter(|i| !ids.contains(i)).collect::<Vec<_>>());
        taken
    }

    /// Adds the pictures of a small set, by the names of their classes. One of a new class is repeated until the class has
    /// as many pictures as the others have on average: a handful would not be learnt.
    pub fn join(&mut self, own: &Self) {
        let usual = self.len() / self.classes.len().max(1);
        for (label, class) in own.classes.iter().enumerate() {
            let ids: Vec<usize> = (0..own.len()).filter(|&i| usize::from(own.labels[i]) == label).collect();
            if ids.is_empty() {
                continue;
            }
            let known = self.classes.iter().position(|known| known == class);
            let label = known.unwrap_or(self.classes.len()) as u16;
            if known.is_none() {
                self.classes.push(class.clone());
            }
            let times = if known.is_some() { 1 } else { usual.div_ceil(ids.len()).max(1) };
            for &id in ids.iter().cycle().take(times * ids.len()) {
                self.pixels.extend_from_slice(own.picture(id));
                self.labels.push(label);
            }
        }
    }

    /// Adds a picture `[3, SIDE, SIDE]`, 0..=255, of the class of that name, which becomes the last one if it is new.
    ///
    /// # Panics
    /// If `pixels` does not hold [`VALUES`] values, or there are 65,536 classes.
    pub fn add(&mut self, pixels: &[u8], class: &str) {
        assert_eq!(pixels.len(), VALUES);
        let label = self.classes.iter().position(|known| known == class).unwrap_or(self.classes.len());
        self.labels.push(u16::try_from(label).expect("labels have 16 bits"));
        self.pixels.extend_from_slice(pixels);
        if label == self.classes.len() {
            self.classes.push(class.to_owned());
        }
    }

    /// The bytes of picture `i`: `[3, SIDE, SIDE]`.
    pub fn picture(&self, i: usize) -> &[u8] {
        &self.pixels[i * VALUES..(i + 1) * VALUES]
    }
}

/// A data set: what to train on and what to judge by.
#[derive(Clone, Debug)]
pub struct Splits {
    pub train: Pictures,
    pub test: Pictures,
}

impl Splits {
    /// Adds pictures to train on, as [`Pictures::join`] does. New classes have no pictures to be judged by.
    pub fn join(&mut self, own: &Pictures) {
        self.train.join(own);
        self.test.classes.clone_from(&self.train.classes);
    }
}

/// What is wrong with the data, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {reason}")]
    Io { path: String, reason: std::io::Error },
    /// `path` names the file; for archives `archive.tar.gz: member` or `set.zip/member`.
    #[error("{path}: {problem}")]
    Format { path: String, problem: String },
}

fn refuse(path: &str, problem: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), problem: problem.into() }
}
