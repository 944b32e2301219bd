//! The guided tour: nine steps, each a permalink with a few sentences. All results are computed live.

/// A station of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub title: &'static str,
    pub text: &'static str,
    /// What the page shows, as in an address; without the step's own number.
    shows: &'static str,
}

pub const STEPS: [Step; 9] = [
    Step {
        title: "What is an adversarial image?",
        text: "On the left is an image, beside it the same image after an attack. No pixel has changed by more than 8 of \
               255 steps of brightness, and to you it shows what it showed before. The standard model, which was trained \
               in the usual way, now sees something else, and is sure of it. Move ε to see how little is enough.",
        shows: "model=ce&view=none",
    },
    Step {
        title: "It is aimed, not random",
        text: "Each pixel moves the way that raises the model's error fastest: the sign of the gradient, a few small steps \
               of it. In the map further down, the attack goes to the right and a random change of the same size goes up. Along the one \
               the loss climbs within a step; along the other it hardly moves. That is why noise does no harm and an attack does.",
        shows: "model=ce&view=landscape",
    },
    Step {
        title: "How little is enough",
        text: "Allow the attack less and less: one step of 255 is a change that no eye can see. The curve of the margin, further \
               down, says at which radius each model falls: where it crosses zero, another class has taken over.",
        shows: "model=ce&epsilon=1/255&step=0.25/255&view=landscape",
    },
    Step {
        title: "A model that holds",
        text: "The robust model was trained on adversarial images (Madry et al., 2018) with two more terms: one that pulls \
               the attacked predictions back onto the clean ones, one that flattens the network. Under the same attack it \
               keeps its answer. It pays for that: it is less sure, of clean images too.",
        shows: "model=otjr&view=none",
    },
    Step {
        title: "Where the two images part",
        text: "Layer by layer, how far has the attack moved what the network computes? It starts as a small change of the \
               pixels. In the standard model it grows on its way until the logits have nothing in common with the clean \
               ones; in the robust model it stays in bounds. Choose a layer to see the channels that moved most.",
        shows: "model=ce&view=layers",
    },
    Step {
        title: "Where the representation went",
        text: "The last layer before the decision, flattened to the plane in which many images spread widest. Each tint is \
               the region of a class. The path is this image's, step of attack by step of attack. Under the standard model \
               it walks into the region of another class.",
        shows: "model=ce&view=embedding",
    },
    Step {
        title: "What the transport penalty does",
        text: "The sliced Wasserstein distance L_SW compares a batch of attacked logits with the clean ones along random \
               lines: sort both, and the lowest is matched with the lowest. How far apart they lie is what training penalises, \
               and the directions in which they would have to move are the arrows. Try several projections.",
        shows: "model=otjr&view=transport",
    },
    Step {
        title: "What the Jacobian penalty does",
        text: "How strongly do the logits react to a small change of the pixels along the directions of that transport? The \
               penalty R makes this small, there and not everywhere: so the robust model can still tell classes \
               apart. Compare both models' reactions, and where in the image they are.",
        shows: "model=otjr&view=jacobian",
    },
    Step {
        title: "Do not trust one attack",
        text: "A model may look robust because one attack fails. AutoAttack (Croce and Hein, 2020) tries four, one of which \
               never looks at a gradient, and the page warns when the result suggests masked gradients. Only what \
               withstands them all counts as robust. Attack many images to get a number.",
        shows: "model=otjr&attack=autoattack&view=none",
    },
];

impl Step {
    /// Whether it tells of a view, which is further down the page.
    pub fn has_view(&self) -> bool {
        !self.shows.ends_with("view=none")
    }

    /// The address of step `n`, from 0.
    pub fn hash(n: usize) -> String {
        format!("#{}&tour={}", STEPS[n.min(STEPS.len() - 1)].shows, n + 1)
    }
}
