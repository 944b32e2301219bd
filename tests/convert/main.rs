//! Conversion of PyTorch models (written by `fixtures/pytorch.py`) and back; hostile and damaged files.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::Command,
};

use burn::tensor::{Device, Tensor, TensorData};
use otjr::{
    checkpoint::Checkpoint,
    model::{Architecture, Classifier, Model, names, parameter::Arrays},
    pytorch::{self, Error, PyTorchFile},
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn fixture(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/fixtures/torch").join(name)
}

/// Runs `convert` and returns whether it succeeded, and its output.
fn convert(input: &Path, output: &Path, options: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convert"));
    let output = command.arg(input).arg(output).args(options).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), text)
}

fn done(input: &Path, output: &Path, options: &[&str]) -> serde_json::Value {
    let (success, text) = convert(input, output, &[options, &["--json"]].concat());
    assert!(success, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn refused(input: &Path, options: &[&str], because: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.safetensors");
    let (success, text) = convert(input, &output, options);
    assert!(!success, "{text}");
    assert!(!output.exists(), "{text}");
    assert!(text.contains(because), "'{because}' is not in: {text}");
    assert!(!text.contains("panicked"), "'{because}' is not in: {text}");
}

fn checkpoint(path: &Path) -> Checkpoint {
    Checkpoint::from_bytes(&fs::read(path).unwrap()).unwrap()
}

/// Returns the largest difference from the logits that PyTorch computes with the file `name`.
fn off(name: &str, arrays: &Arrays) -> f32 {
    let device = Device::flex();
    let recorded = checkpoint(&fixture("logits.safetensors")).arrays;
    let x = &recorded["input.x"];
    let x = Tensor::<4>::from_data(TensorData::new(x.values.clone(), [3, 3, 32, 32]), &device);
    let logits = Model::from_arrays(arrays, &device).unwrap().logits(x).into_data();
    let pairs = logits.iter::<f32>().zip(&recorded[name].values).collect::<Vec<_>>();
    assert_eq!(pairs.len(), 9);
    pairs.into_iter().fold(0.0, |most, (a, b)| if (a - b).abs() > most { (a - b).abs() } else { most })
}

/// File, architecture, prefix, whether it normalizes, and the number of ignored tensors (without counters).
const SCHEMES: &[(&str, &str, &str, bool, usize)] = &[
    ("wrn-trades.pt", "wrn-10-1", "", false, 10),
    ("wrn-reference-pair.pth", "wrn-10-1", "", false, 0),
    ("wrn-robustbench.pt", "wrn-10-1", "module.", true, 0),
    ("resnet-kuangliu.pth", "resnet-18-w2", "module.", false, 0),
    ("resnet-torchvision.pt", "resnet-18-w2", "", false, 0),
    ("resnet-legacy.pth", "resnet-18-w2", "", false, 0),
    ("resnet-robustness.pt", "resnet-18-w2", "module.model.", true, 104),
    ("resnet-ema.pt", "resnet-18-w2", "", false, 0),
    ("preact-robustbench.pt", "preact-resnet-18-w2", "net.", true, 0),
    ("preact-sequential.pt", "preact-resnet-18-w2", "1.", true, 0),
    ("preact-protocol-5.pt", "preact-resnet-18-w2", "module.model.", true, 0),
    ("preact-views.pt", "preact-resnet-18-w2", "", false, 0),
    ("preact-foreign.safetensors", "preact-resnet-18-w2", "1.", true, 0),
];

#[test]
fn logits_match_pytorch_for_all_naming_schemes() {
    let folder = tempfile::tempdir().unwrap();
    for &(name, architecture, prefix, normalizes, left_out) in SCHEMES {
        let output = folder.path().join("out.safetensors");
        let options: &[&str] = if name == "resnet-ema.pt" { &["--key", "ema"] } else { &[] };
        let report = done(&fixture(name), &output, options);
        assert_eq!(report["architecture"], architecture, "{name}");
        assert_eq!(report["prefix"], prefix, "{name}");
        assert_eq!(report["normalisation"].is_object(), normalizes, "{name}");
        let reasons = report["left_out"].as_object().unwrap().iter();
        let others = reasons.filter(|(reason, _)| !reason.starts_with("num_batches_tracked"));
        assert_eq!(
            others.map(|(_, names)| names.as_array().unwrap().len()).sum::<usize>(),
            left_out,
            "{name}: {report}"
        );
        let ours = checkpoint(&output);
        assert_eq!(ours.metadata["architecture"], architecture);
        let off = off(name, &ours.model_arrays());
        println!("{name}: {off:.1e}");
        assert!(off < 1e-4, "{name}: {off}");
        let (torch, again) = (folder.path().join("there.pt"), folder.path().join("again.safetensors"));
        done(&output, &torch, &[]);
        done(&torch, &again, &[]);
        assert!(fs::read(&again).unwrap() == fs::read(&output).unwrap(), "{name}");
    }
}

#[test]
fn round_trips_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ours = Path::new(ROOT).join("public/models/otjr.safetensors");
    for half in [&[][..], &["--half"]] {
        let (first, torch, second) = (at("first.safetensors"), at("there.pt"), at("second.safetensors"));
        done(&ours, &first, half);
        done(&first, &torch, half);
        done(&torch, &second, half);
        assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
        if half.is_empty() {
            assert_eq!(fs::read(&first).unwrap(), fs::read(&ours).unwrap());
        } else {
            assert!(fs::metadata(&first).unwrap().len() < 200_000);
        }
    }
    // PyTorch's names are mapped to ours; converting again keeps them.
    done(&fixture("preact-sequential.pt"), &at("again.pth"), &["--classes", "cat,dog,hen"]);
    let report = done(&at("again.pth"), &at("again.safetensors"), &[]);
    assert_eq!((&report["prefix"], &report["renamed"]), (&"".into(), &serde_json::json!({})));
    let again = checkpoint(&at("again.safetensors"));
    assert_eq!(again.class_names(3), ["cat", "dog", "hen"]);
    assert!(off("preact-sequential.pt", &again.model_arrays()) < 1e-4);
}

#[test]
fn normalization_can_be_given_as_options() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.safetensors");
    // The CIFAR-10 values, rounded to float16.
    let cifar = ["--mean", "0.49145508,0.48217773,0.4465332", "--std", "0.24707031,0.24353027,0.26171875"];
    done(&fixture("wrn-trades.pt"), &output, &cifar);
    assert!(off("wrn-robustbench.pt", &checkpoint(&output).model_arrays()) < 1e-4);
    refused(&fixture("wrn-robustbench.pt"), &cifar, "already contains a normalization");
    refused(
        &fixture("wrn-trades.pt"),
        &["--mean", "0,0,0", "--std", "1,0,1"],
        "the standard deviation of a channel is 0",
    );
    refused(&fixture("wrn-trades.pt"), &["--mean", "0,0", "--std", "1,1,1"], "expected three numbers");
    refused(&fixture("wrn-trades.pt"), &["--classes", "cat"], "but the model has 3");
}

#[test]
fn mismatches_are_reported() {
    refused(&fixture("resnet-ema.pt"), &[], "several networks, under 'model', 'ema': choose one with --key");
    refused(&fixture("resnet-ema.pt"), &["--key", "best"], "no tensors under 'best'");
    let shapes = |arrays: &Arrays| arrays.iter().map(|(name, array)| (name.clone(), array.shape.clone())).collect();
    let known = checkpoint(&Path::new(ROOT).join("public/models/ce.safetensors")).model_arrays();
    let with = |change: &dyn Fn(&mut names::Shapes)| {
        let mut shapes: names::Shapes = shapes(&known);
        change(&mut shapes);
        names::map(&shapes).unwrap_err().to_string()
    };
    let text = with(&|s| drop(s.insert("block1.layer.0.se.weight".into(), vec![4, 4])));
    assert!(text.contains("1 tensors that a wrn-10-1 does not have: block1.layer.0.se.weight"), "{text}");
    let text = with(&|s| drop(s.remove("block2.layer.0.bn1.running_var")));
    assert!(text.contains("lacks tensors of a wrn-10-1: block2.layer.0.bn1.running_var"), "{text}");
    let text = with(&|s| drop(s.remove("fc.bias")));
    assert!(text.contains("a last layer without bias"), "{text}");
    let text = with(&|s| drop(s.insert("mu".into(), vec![1, 3, 1, 1])));
    assert!(text.contains("normalization is ambiguous or incomplete: mu"), "{text}");
    let text = with(&|s| drop(s.insert("branch.block1.layer.0.conv1.weight".into(), vec![16, 16, 3, 3])));
    assert!(text.contains("contains 2 networks"), "{text}");
    let text = with(&|s| *s = BTreeMap::from([("patch_embed.proj.weight".to_owned(), vec![9, 3, 4, 4])]));
    assert!(text.contains("no supported network"), "{text}");
    assert!(text.contains("patch_embed.proj.weight"), "{text}");
}

/// The list of expected names must match the names of the layers.
#[test]
fn expected_names_are_those_of_the_layers() {
    for name in ["wrn-10-1", "wrn-16-2", "resnet-18-w2", "preact-resnet-18-w2"] {
        let architecture: Architecture = name.parse().unwrap();
        let mut model = Model::new(architecture, 3, None, 0, &Device::flex()).unwrap();
        let mut ours: Vec<_> = model.named_tensors().iter().map(|slot| slot.name().to_owned()).collect();
        let mut expected = names::expected(architecture);
        ours.sort();
        expected.sort();
        assert_eq!(ours, expected);
    }
}

/// Returns an archive in the format of `torch.save` with this pickle and a storage '0' of 64 bytes.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", &[0; 64])] {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Reads all state dicts of a file.
fn read(bytes: &[u8]) -> Result<Vec<Arrays>, Error> {
    let file = PyTorchFile::open(bytes)?;
    let all = |dict: &pytorch::StateDict| {
        file.read(dict, &dict.shapes.keys().map(|name| (name.clone(), name.clone())).collect())
    };
    file.state_dicts().iter().map(all).collect()
}

#[test]
fn hostile_files_are_rejected_and_not_executed() {
    let mark = Path::new("/tmp/otjr-was-here");
    let _ = fs::remove_file(mark);
    refused(&fixture("hostile-system.pt"), &[], "wants to run posix.system: refused");
    refused(&fixture("hostile-eval.pt"), &[], "wants to run builtins.eval: refused");
    refused(&fixture("hostile-legacy.pth"), &[], "wants to run __builtin__.getattr: refused");
    refused(&fixture("whole-module.pt"), &[], "wants to run torch.nn.modules.linear.Linear: refused");
    assert!(!mark.exists());

    let wants = |pickle: &[u8], what: &str| match read(&archive(pickle)) {
        Err(Error::ForbiddenGlobal(name)) => assert_eq!(name, what),
        other => panic!("{what}: {other:?}"),
    };
    // Rejected even if the global is never called, discarded, or deeply nested.
    wants(b"\x80\x02cos\nsystem\n0}.", "os.system");
    wants(b"\x80\x02}q\x00}q\x01(cposix\nsystem\nK\x01u.", "posix.system");
    // STACK_GLOBAL with strings from the memo.
    wants(b"\x80\x04\x8c\x06system\x94\x8c\x02os\x940h\x01h\x00\x93\x8c\x02id\x85R.", "os.system");
    wants(b"\x80\x04\x8c\x04eval\x94\x8c\x08builtinsh\x00\x93.", "builtins.eval");
    // Unknown names in known modules, dotted names, and terminal escape sequences.
    wants(b"\x80\x02ctorch._utils\n_import_dotted_name\n.", "torch._utils._import_dotted_name");
    wants(b"\x80\x04\x8c\x05torch\x8c\x0btypes.Union\x93.", "torch.types.Union");
    wants(b"\x80\x02cos\n\x1b[2Jsystem\n.", "os.\\u{1b}[2Jsystem");
    wants(b"\x80\x02(X\x02\x00\x00\x00idios\nsystem\n.", "os.system");
    let opcode = |pickle: &[u8], what: u8| match read(&archive(pickle)) {
        Err(Error::UnsupportedOpcode(op)) => assert_eq!(op, what),
        other => panic!("{what}: {other:?}"),
    };
    opcode(b"\x80\x02\x82\x01.", 0x82); // EXT1: a function by number.
    opcode(b"\x80\x02(ccollections\nOrderedDict\no.", b'o'); // OBJ
    opcode(b"\x80\x02(icollections\nOrderedDict\n.", b'i'); // INST
    opcode(b"\x80\x02P0\n.", b'P');
}

#[test]
fn pickle_bombs_are_rejected() {
    let tensor = |rest: &[u8]| {
        let begin = b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ";
        archive(&[begin, rest, b"\x89)tRs."].concat())
    };
    assert_eq!(read(&tensor(b"K\x00K\x04K\x04\x86K\x04K\x01\x86")).unwrap()[0]["w"].shape, [4, 4]);
    for (rest, what) in [
        (&b"K\x01K\x04K\x04\x86K\x04K\x01\x86"[..], "its end lies outside"),
        (b"K\x00J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86K\x04K\x01\x86", "far too large"),
        (b"K\x00(J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7ftK\x00K\x00K\x00\x87", "more than can be counted"),
        (b"K\x00J\xff\xff\xff\x7f\x85K\x00\x85", "one number, repeated endlessly"),
        (b"K\x00K\x04\x85K\x04K\x01\x86", "more strides than sizes"),
        (b"K\x00J\xff\xff\xff\xff\x85K\x01\x85", "a negative size"),
        (b"K\x00K\x01\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x85", "a negative stride"),
    ] {
        assert!(read(&tensor(rest)).is_err(), "{what}");
    }
    // The stride of a dimension of size 1 is ignored.
    assert!(read(&tensor(b"K\x00K\x01\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85")).is_ok());
    // Deeply nested, cyclic and exponentially shared values.
    let nested = [&b"\x80\x02"[..], &b"]".repeat(100_000), &b"a".repeat(99_999), b"."].concat();
    assert!(read(&archive(&nested)).unwrap().is_empty());
    assert!(read(&archive(b"\x80\x02]q\x00h\x00a.")).unwrap().is_empty());
    let doubled = [&b"\x80\x02]"[..], &b"2\x86".repeat(100_000), b"."].concat();
    assert!(read(&archive(&doubled)).unwrap().is_empty());
    assert!(read(&archive(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")).unwrap().is_empty());
    // A few bytes that copy many items repeatedly.
    let pairs =
        [&b"\x80\x02ccollections\nOrderedDict\nq\x00(]("[..], &b"NN\x86".repeat(100_000), b"e\x85q\x01"].concat();
    let copied = [&pairs[..], &b"h\x00h\x01R".repeat(10_000), b"t."].concat();
    assert!(matches!(read(&archive(&copied)), Err(Error::Damaged(_))));
    assert!(matches!(read(&archive(&b"N".repeat(5 << 20))), Err(Error::Damaged(_))));
}

/// Truncated files, and files with flipped bits, cause an error or another model, but never a panic.
#[test]
fn broken_files_are_refused() {
    let bytes = fs::read(fixture("preact-protocol-5.pt")).unwrap();
    let ends = (0..bytes.len()).filter(|end| end % 97 == 0 || *end < 1000 || bytes.len() - end < 1000);
    ends.for_each(|end| assert!(read(&bytes[..end]).is_err(), "cut off at {end}"));
    let turn = |bytes: &[u8], places: &[usize]| {
        let mut turned = bytes.to_vec();
        places.iter().for_each(|at| turned[*at] ^= 1 << ((at * 7) % 11 % 8));
        let _ = read(&turned);
    };
    (0..bytes.len()).step_by(41).chain(bytes.len() - 3000..bytes.len()).for_each(|at| turn(&bytes, &[at]));
    // Legacy files have no checksums, so the unpickler receives every change.
    let bytes = fs::read(fixture("resnet-legacy.pth")).unwrap();
    (0..bytes.len()).step_by(61).for_each(|end| assert!(read(&bytes[..end]).is_err(), "cut off at {end}"));
    const PICKLE: usize = 16_000;
    (0..PICKLE).for_each(|at| turn(&bytes, &[at]));
    let mut places = (0..20_000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % PICKLE);
    while let (Some(a), Some(b), Some(c)) = (places.next(), places.next(), places.next()) {
        turn(&bytes, &[a, b, c]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pt");
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    refused(&path, &[], "not a complete file of torch.save");
    fs::write(&path, "hello").unwrap();
    refused(&path, &[], "not a complete safetensors file");
    fs::write(&path, b"\x80\x02cos\nsystem\n.").unwrap();
    refused(&path, &[], "neither safetensors nor a file of a current torch.save");
    let mut arrays = checkpoint(&Path::new(ROOT).join("public/models/ce.safetensors")).model_arrays();
    arrays.get_mut("fc.bias").unwrap().values[1] = f32::NAN;
    fs::write(&path, pytorch::write(&arrays, &BTreeMap::new(), false).unwrap()).unwrap();
    refused(&path, &[], "tensor 'fc.bias' contains NaN at position 1");
}
