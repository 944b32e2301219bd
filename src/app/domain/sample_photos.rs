//! The sample photos, in `public/photos` with their credits. Their classes are those of CIFAR-10, which the photo models
//! classify.

/// A sample photo.
pub struct Photo {
    /// The stem of the file name, which starts with the class: `public/photos/cat-1.jpg`.
    pub file: &'static str,
    /// What the photo shows.
    pub shows: &'static str,
    /// The photographer or the publisher.
    pub by: &'static str,
    /// The license.
    pub license: &'static str,
}

impl Photo {
    /// The class, as the photo models name it.
    pub fn class(&self) -> &'static str {
        self.file.split('-').next().unwrap_or_default()
    }

    /// The caption: `A cat. Photo: Stéfan van der Walt, CC0`.
    pub fn caption(&self) -> String {
        let Self { shows, by, license, .. } = self;
        format!("{shows}. Photo: {by}, {license}")
    }
}

/// All photos, in the order of the thumbnails in `public/photos/reference.png`.
pub const PHOTOS: [Photo; 26] = [
    Photo { file: "airplane-1", shows: "A jet", by: "Lt. Cmdr. John A. Ivancic, US Navy", license: "public domain" },
    Photo { file: "airplane-2", shows: "A biplane", by: "Pexels", license: "CC0" },
    Photo { file: "airplane-3", shows: "An airliner", by: "Julian Herzog", license: "CC BY 4.0" },
    Photo { file: "automobile-1", shows: "A car", by: "Pixabay", license: "CC0" },
    Photo { file: "automobile-2", shows: "A car from behind", by: "OSX", license: "public domain" },
    Photo { file: "automobile-3", shows: "A race car", by: "Pixabay", license: "CC0" },
    Photo { file: "bird-1", shows: "A swan", by: "Pixabay", license: "CC0" },
    Photo { file: "bird-2", shows: "A hawk", by: "Mark Bohn, US Fish and Wildlife Service", license: "CC BY 2.0" },
    Photo { file: "bird-3", shows: "A toucan", by: "Ana_Cotta", license: "CC BY 2.0" },
    Photo { file: "cat-1", shows: "A cat, close up", by: "Stéfan van der Walt", license: "CC0" },
    Photo { file: "cat-2", shows: "A kitten", by: "Pixabay", license: "CC0" },
    Photo { file: "cat-3", shows: "A cat", by: "Pixabay", license: "CC0" },
    Photo {
        file: "deer-1",
        shows: "A deer",
        by: "Scott Bauer, USDA Agricultural Research Service",
        license: "public domain",
    },
    Photo { file: "deer-2", shows: "A moose, lying", by: "Ryan Hagerty", license: "public domain" },
    Photo { file: "deer-3", shows: "A moose", by: "Walter Ezell", license: "CC BY 3.0" },
    Photo { file: "dog-1", shows: "A puppy", by: "Pixabay", license: "CC0" },
    Photo { file: "dog-2", shows: "A dog", by: "Dirk Vorderstraße", license: "CC BY 2.0" },
    Photo { file: "dog-3", shows: "A dog’s face", by: "Pixabay", license: "CC0" },
    Photo { file: "frog-1", shows: "A frog", by: "Carey James Balboa", license: "public domain" },
    Photo { file: "frog-2", shows: "A toad", by: "Holger Krisp", license: "CC BY 3.0" },
    Photo { file: "horse-1", shows: "A horse grazing", by: "Pixabay", license: "CC0" },
    Photo { file: "horse-2", shows: "A horse’s head", by: "Pixabay", license: "CC0" },
    Photo { file: "horse-3", shows: "A race horse", by: "Pexels", license: "CC0" },
    Photo { file: "ship-1", shows: "A container ship", by: "Pixabay", license: "CC0" },
    Photo { file: "ship-2", shows: "A motor boat", by: "Pixabay", license: "CC0" },
    Photo { file: "truck-1", shows: "A truck", by: "Dwight Burdette", license: "CC BY 3.0" },
];
