//! Links: every key of the address, and the address that the earlier build made of each link.

use std::fmt::Write;

use otjr::app::state::permalink::Permalink;

use super::read;

/// Links with every key that an address can contain, good and bad values, old spellings and encodings.
const LINKS: &[&str] = &[
    "",
    "#model=otjr&sample=0&attack=pgd&norm=linf&epsilon=8/255&step=2/255&steps=20&backend=auto",
    "#model=ce&sample=12&attack=fgsm&norm=linf&epsilon=4/255&loss=margin&backend=cpu",
    "#model=photo-otjr&sample=25&crop=3,40,120&attack=bim&norm=linf&epsilon=8/255&step=1/255&step-schedule=cosine&steps=40&view=none",
    "#model=photo-ce&sample=7&attack=pgd&norm=l2&epsilon=128/255&step=0.1&steps=7&restarts=3&random-start=false&loss=dlr&early-stop=true&seed=5&target=3&view=embedding&backend=gpu",
    "#model=photo-pgd&attack=mi-fgsm&step-schedule=linear&view=jacobian",
    "#model=otjr&attack=apgd-ce&norm=l1&epsilon=12&steps=25&restarts=2&samples=4&view=landscape",
    "#attack=apgd-dlr&norm=l2&epsilon=0.3&seed=7&restarts=3&steps=20&target=3&begin=otjr&pictures=100",
    "#attack=apgd-t&targets=3&steps=50&samples=2",
    "#attack=fab&norm=l2&restarts=2&seed=9",
    "#attack=fab-t&norm=l1&targets=4",
    "#attack=square&norm=l2&queries=500&share=0.3&restarts=2&seed=11",
    "#attack=cw&steps=50&confidence=2&epsilon=1",
    "#attack=deepfool&steps=9",
    "#attack=simba&step=0.5&queries=300&norm=l2",
    "#attack=autoattack&seed=3&pictures=500",
    "#attack=autoattack-plus&norm=l2&pictures=20",
    "#attack=autoattack-rand&pictures=50",
    "#view=layers&layer=block2.layer.0&tour=4",
    "#view=transport&projection=17&layer=conv1",
    "#norm=l2&attack=square&epsilon=4%2F255",
    "#begin=ce&train.dataset=cifar10&train.data-dir=cifar&train.model=resnet-18&train.objective=trades&train.epochs=3&train.batch=32&train.rate=0.05&train.schedule=cosine&train.warm-up=0.5&train.momentum=0.8&train.weight-decay=0.001&train.decay-all=false&train.clip=1&train.accumulate=2&train.average=0.99",
    "#train.augment=true&train.cutout=8&train.mixup=0.2&train.label-smoothing=0.1&train.awp=0.005&train.extra=more.npz&train.extra-share=0.5&train.normalize=true&train.mixed=true&train.head-only=true&train.limit=100&train.limit-test=50&train.validation=10&train.patience=2&train.seed=8",
    "#train.objective=sw&train.lambda-sw=64&train.projections=16&train.train-epsilon=0.031&train.train-step=0.007&train.train-steps=10&train.train-noise=0.002",
    "#train.objective=sinkhorn&train.lambda-sinkhorn=2&train.lambda-jac=0.01&train.beta-trades=5&train.beta-alp=0.25&train.schedule=steps",
    "#train.dataset=folder&train.model=preact-resnet-18&train.objective=rand_jac&train.schedule=one-cycle",
    "#train.dataset=cifar100&train.model=wrn-28-10&train.objective=sw_jac",
    "#train.objective=alp&train.rate=0.2&train.epochs=8",
    "#train.objective=pgd",
    "#train.objective=ce&begin=own",
    "#model=own&world=photos&sample=own&attack=pgd&norm=linf&epsilon=8/255&step=2/255&steps=20&backend=auto",
    "#world=photos&sample=3",
    "#model=gpt&sample=x&epsilon=abc&steps=0&backend=tpu&speed=3&tour=99&pictures=7&seed=5",
];

/// A line a link: how many sentences the page says about it; the link; its address; the same while a model file and an image
/// file of the user are in use.
fn table() -> String {
    let mut table = String::new();
    for link in LINKS {
        let (parsed, problems) = Permalink::parse(link);
        let [built_in, uploaded] = [false, true].map(|uploaded| parsed.hash(uploaded, uploaded));
        writeln!(table, "{}\t{link}\t{built_in}\t{uploaded}", problems.len()).expect("a string takes all text");
    }
    table
}

#[test]
fn links_mean_what_they_meant() {
    let recorded = String::from_utf8(read("links.tsv")).expect("it is text");
    assert_eq!(recorded.lines().count(), LINKS.len(), "links.tsv has another number of links than the test");
    for (recorded, found) in recorded.lines().zip(table().lines()) {
        assert_eq!(found, recorded, "a link has another meaning than in the earlier build");
    }
    // The address of an address is the same one.
    for line in recorded.lines() {
        let address = line.split('\t').nth(2).expect("the third column");
        let (parsed, problems) = Permalink::parse(address);
        assert_eq!((parsed.hash(false, false).as_str(), problems), (address, Vec::new()));
    }
}

/// Writes `links.tsv` of this build into cargo's directory for the files of tests.
#[test]
#[ignore = "writes files: see tests/fixtures/compat/README.md"]
fn write_links() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compat");
    std::fs::create_dir_all(&folder).expect("cargo's directory can be written");
    std::fs::write(folder.join("links.tsv"), table()).expect("cargo's directory can be written");
}
