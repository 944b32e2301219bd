//! The guided tour: nine steps, each a permalink with a few sentences. All results are computed live.

/// A step of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The heading.
    pub title: &'static str,
    /// The explanation.
    pub text: &'static str,
    /// The URL hash of the step, without the number of the step.
    hash: &'static str,
}

/// The steps of the tour, in order.
pub const STEPS: [Step; 9] = [
    Step {
        title: "What is an adversarial image?",
        text: "The left image is the original. The image next to it is the same image after an attack: no pixel has \
               changed by more than 8 of 255 brightness levels, and to you it looks the same. The standard model, which \
               was trained in the usual way, now predicts another class with high confidence. Reduce ε to see how small \
               the perturbation can be.",
        hash: "model=ce&view=none",
    },
    Step {
        title: "It is aimed, not random",
        text: "Each pixel moves in the direction that increases the loss fastest: the sign of the gradient, in a few \
               small steps. In the map further down, the attack is the horizontal direction and a random perturbation \
               of the same size the vertical one. Along the attack the loss increases steeply; along the random \
               direction it hardly changes. That is why noise is harmless and an attack is not.",
        hash: "model=ce&view=landscape",
    },
    Step {
        title: "How little is enough",
        text: "Reduce the radius of the attack: a change by one of 255 brightness levels is invisible. The margin curve \
               further down shows the radius at which the attack on each model succeeds: where the margin crosses zero, \
               another class wins.",
        hash: "model=ce&epsilon=1/255&step=0.25/255&view=landscape",
    },
    Step {
        title: "A robust model",
        text: "The robust model was trained on adversarial images (Madry et al., 2018) with two more loss terms: one \
               pulls the adversarial predictions back to the clean ones, the other makes the network less sensitive to \
               its input. Its prediction does not change under the same attack. The price is lower confidence, also on \
               clean images.",
        hash: "model=otjr&view=none",
    },
    Step {
        title: "Where the representations diverge",
        text: "How far does the attack move the activations of each layer? It starts as a small change of the pixels. \
               In the standard model the change grows from layer to layer, until the adversarial logits have nothing in \
               common with the clean ones. In the robust model it stays small. Select a layer to see the channels that \
               changed most.",
        hash: "model=ce&view=layers",
    },
    Step {
        title: "How the latents move",
        text: "The activations before the last layer, projected onto the plane in which many images differ most. Each \
               tint is the region of a class. The path shows this image after each step of the attack. Under the \
               standard model it enters the region of another class.",
        hash: "model=ce&view=embedding",
    },
    Step {
        title: "What the transport penalty does",
        text: "The sliced Wasserstein distance L_SW compares a batch of adversarial logits with the clean ones along \
               random lines: both are sorted and matched by rank. Training penalizes the distance between the matched \
               values. The arrows show the directions in which the adversarial logits would have to move. Try several \
               projections.",
        hash: "model=otjr&view=transport",
    },
    Step {
        title: "What the Jacobian penalty does",
        text: "How strongly do the logits react to a small change of the pixels along the directions of the transport? \
               The penalty R reduces this reaction in these directions only, so the robust model can still distinguish \
               the classes. Compare the reactions of both models, and where in the image they are.",
        hash: "model=otjr&view=jacobian",
    },
    Step {
        title: "Do not trust one attack",
        text: "A model may look robust because one attack fails. AutoAttack (Croce and Hein, 2020) runs four attacks, \
               one of them without gradients, and the page warns if the results suggest gradient masking. An image \
               counts as robust only if all attacks fail. Attack a batch of images to measure the robust accuracy.",
        hash: "model=otjr&attack=autoattack&view=none",
    },
];

impl Step {
    /// Whether the step explains a view of the explorer, which is further down the page.
    pub fn has_view(&self) -> bool {
        !self.hash.ends_with("view=none")
    }

    /// The URL hash of step `n`, which starts at 0.
    pub fn hash(n: usize) -> String {
        format!("#{}&tour={}", STEPS[n.min(STEPS.len() - 1)].hash, n + 1)
    }
}
