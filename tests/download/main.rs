//! Downloads from servers and networks that fail in various ways.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Once,
        mpsc::{Receiver, channel},
    },
    thread,
};

use flate2::{Compression, write::GzEncoder};
use indicatif::ProgressBar;
use otjr::checkpoint::Checkpoint;
use otjr_cli::download::{Published, fetch};

/// `seq 1 20000 | md5sum`.
const FILE: Published = Published { name: "numbers.gz", md5: "e071f707df7bbeee2a6a1eb48011ddd0" };

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../public/models/otjr.safetensors");

fn numbers() -> Vec<u8> {
    (1..=20_000).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

/// Starts a server. `answer` receives the connection, its number and the start of the requested range. Returns the address and
/// the requests.
fn serve(
    answer: impl Fn(&mut TcpStream, usize, Option<usize>) + Send + 'static,
) -> (String, Receiver<(String, Option<usize>)>) {
    // A proxy of the environment could not reach this server.
    static DIRECT: Once = Once::new();
    DIRECT.call_once(|| unsafe { std::env::set_var("NO_PROXY", "127.0.0.1") });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines().map(|line| line.unwrap());
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range = head.iter().find_map(|line| {
                let (name, value) = line.split_once(": bytes=")?;
                name.eq_ignore_ascii_case("range").then(|| value.trim_end_matches('-').parse().unwrap())
            });
            let _ = sender.send((head[0].clone(), range));
            answer(&mut stream, number, range);
        }
    });
    (address, requests)
}

/// Answers like a file server, and leaves out the last `cut` bytes.
fn send(stream: &mut TcpStream, bytes: &[u8], range: Option<usize>, cut: usize) {
    let (begin, end) = (range.unwrap_or(0), bytes.len());
    let status = match range {
        Some(_) if begin >= end => {
            write!(stream, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n").unwrap();
            return;
        }
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {begin}-{}/{end}", end - 1),
        None => "200 OK".to_owned(),
    };
    let rest = &bytes[begin..];
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len()).unwrap();
    // The write fails if the client has stopped.
    let _ = stream.write_all(&rest[..rest.len().saturating_sub(cut)]);
}

fn get(url: &str, folder: &Path) -> Result<Option<PathBuf>, String> {
    fetch(FILE, url, folder, &ProgressBar::hidden(), &|| false).map_err(|error| format!("{error:#}"))
}

fn partial(folder: &Path) -> PathBuf {
    folder.join("numbers.gz.part")
}

#[test]
fn a_file_is_fetched_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/data");
    let (address, asked) = serve(|stream, _, range| send(stream, &numbers(), range, 0));
    let path = get(&format!("{address}/mirror/"), &folder).unwrap().unwrap();
    assert_eq!(path, folder.join("numbers.gz"));
    assert_eq!(fs::read(&path).unwrap(), numbers());
    assert!(!partial(&folder).exists());
    assert_eq!(asked.recv().unwrap(), ("GET /mirror/numbers.gz HTTP/1.1".into(), None));
    // The file exists, so there is no request.
    get("http://127.0.0.1:1", &folder).unwrap().unwrap();

    let (address, asked) = serve(|stream, _, range| send(stream, &numbers(), range, 0));
    for (own, request) in [("/a/b.tar.gz", "GET /a/b.tar.gz HTTP/1.1"), ("/get?id=3", "GET /get?id=3 HTTP/1.1")] {
        let folder = tempfile::tempdir().unwrap();
        get(&format!("{address}{own}"), folder.path()).unwrap().unwrap();
        assert_eq!(asked.recv().unwrap().0, request);
    }
}

/// Only the missing bytes are requested, by the same call or by the next one after a kill.
#[test]
fn a_partial_download_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let n = numbers().len();
    let (address, asked) =
        serve(move |stream, number, range| send(stream, &numbers(), range, [n - 1000, 500, 0][number]));
    assert_eq!(fs::read(get(&address, folder).unwrap().unwrap()).unwrap(), numbers());
    let ranges: Vec<_> = asked.try_iter().map(|(_, range)| range).collect();
    assert_eq!(ranges, [None, Some(1000), Some(n - 500)]);

    for have in [700, n] {
        fs::remove_file(folder.join("numbers.gz")).unwrap();
        fs::write(partial(folder), &numbers()[..have]).unwrap();
        let (address, asked) = serve(|stream, _, range| send(stream, &numbers(), range, 0));
        assert_eq!(fs::read(get(&address, folder).unwrap().unwrap()).unwrap(), numbers());
        assert_eq!(asked.recv().unwrap().1, Some(have));
    }

    // A server without ranges sends the whole file again.
    fs::remove_file(folder.join("numbers.gz")).unwrap();
    fs::write(partial(folder), "of something else").unwrap();
    let (address, _) = serve(|stream, _, _| send(stream, &numbers(), None, 0));
    assert_eq!(fs::read(get(&address, folder).unwrap().unwrap()).unwrap(), numbers());
}

/// A stopped download keeps the received bytes.
#[test]
fn a_stopped_download_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (address, _) = serve(|stream, _, range| send(stream, &numbers(), range, 0));
    let some = || fs::metadata(partial(folder)).unwrap().len() > 0;
    assert_eq!(fetch(FILE, &address, folder, &ProgressBar::hidden(), &some).unwrap(), None);
    assert!((1..numbers().len() as u64).contains(&fs::metadata(partial(folder)).unwrap().len()));
    get(&address, folder).unwrap().unwrap();
}

#[test]
fn a_wrong_file_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let refused = |url: &str, because: &str| {
        let error = get(url, folder).unwrap_err();
        assert!(error.contains(because), "'{because}' is not in: {error}");
        assert!(!folder.join("numbers.gz").exists());
    };
    let (address, _) = serve(|stream, _, range| send(stream, b"<html>Log in to the network", range, 0));
    refused(&address, &format!("its MD5 sum is c3c10aa44f60f02fa2f36bccaaff3202, not {}", FILE.md5));
    assert!(!partial(folder).exists(), "the next attempt would start with it");
    let (address, _) = serve(|stream, _, _| {
        write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone").unwrap();
    });
    refused(&address, &format!("{address}/numbers.gz: the server answered 404"));
    // After a connection without any new byte, the download fails.
    let (address, asked) = serve(|stream, _, range| send(stream, &numbers(), range, usize::MAX));
    refused(&address, "numbers.gz");
    assert_eq!(asked.try_iter().count(), 1);
    refused("http://127.0.0.1:1", "refused");
    refused("nonsense", "nonsense");
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    assert!(get(&address, &file.join("data")).unwrap_err().contains("could not create the directory"));
}

/// `/dev/full` behaves like a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", partial(folder.path())).unwrap();
    let (address, _) = serve(|stream, _, range| send(stream, &numbers(), range, 0));
    let error = get(&address, folder.path()).unwrap_err();
    assert!(error.contains("free some space, or set OTJR_DATA"), "{error}");
}

/// Both programs print what to download and where to put it, and use the proxy of the environment.
#[test]
fn programs_print_advice_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str], proxy: &str| {
        let mut command = Command::new(program);
        command
            .current_dir(&folder)
            .env("OTJR_DATA", "data")
            .env("XDG_CACHE_HOME", folder.path())
            .args(arguments)
            .args(["--dataset", "cifar100"]);
        for name in ["ALL_PROXY", "all_proxy", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        let output = command.env("HTTPS_PROXY", proxy).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let (train, attack) = (env!("CARGO_BIN_EXE_train"), env!("CARGO_BIN_EXE_attack"));
    let wanted = "download https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz and give its path as --data-dir, or put it \
                  into data";
    for (program, arguments) in [(train, vec![]), (attack, vec!["--model", MODEL])] {
        let text = run(program, &[arguments, vec!["--data-url", "http://127.0.0.1:1"]].concat(), "");
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains("refused"), "{text}");
    }
    let (address, asked) = serve(|stream, _, _| {
        write!(stream, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    });
    let text = run(train, &[], &address);
    assert!(text.contains(wanted), "{text}");
    assert!(asked.recv().unwrap().0.starts_with("CONNECT www.cs.toronto.edu:443 "));
}

/// A file that was put into the data folder is used.
#[test]
fn an_existing_file_is_used() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let file = fs::File::create(folder.path().join("data/cifar-10-binary.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for part in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3073);
        let path = format!("cifar-10-batches-bin/{part}.bin");
        archive.append_data(&mut header, path, &[3; 3073][..]).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
    // A model without class names matches every data set with the same number of classes.
    let mut model = Checkpoint::from_bytes(&fs::read(MODEL).unwrap()).unwrap();
    model.metadata.clear();
    fs::write(folder.path().join("unnamed.safetensors"), model.to_bytes()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_attack"));
    command.current_dir(&folder).env("OTJR_DATA", "data").args([
        "--model",
        "unnamed.safetensors",
        "--dataset",
        "cifar10",
    ]);
    let run = command.args(["--attack", "fgsm", "--device", "cpu"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}");
    assert!(said.contains("1 images of cifar10"), "{said}");
}
