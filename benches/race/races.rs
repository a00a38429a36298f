//! The races.

use std::{
    cell::Cell,
    env,
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
};

use p2pshare_benches::is_smoke_run;
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{
    COPY, Outcome, Racer, community::Community, contest, process::Server, process::Used,
    process::race, programs::Programs, web::Web,
};

const MIB: u64 = 1 << 20;

type Race = fn(&Programs, &Path) -> Outcome<()>;

/// All races, by name.
pub(crate) const ALL: [(&str, Race); 6] = [
    ("one", one),
    ("sources", sources),
    ("downloaders", downloaders),
    ("small", small),
    ("tiny", tiny),
    ("huge", huge),
];

/// One source, one file.
fn one(programs: &Programs, folder: &Path) -> Outcome<()> {
    let size = sized(1024 * MIB, 4 * MIB);
    let (shared, out) = folders(folder)?;
    let file = shared.join("file");
    write_noise(&file, size)?;
    let id = b3(&file)?;
    let to = out.join("file");

    let yardstick = TcpCopy::start(&file)?;
    let mut plain = Community::new(programs, folder.join("plain"), false)?;
    let mut secure = Community::new(programs, folder.join("secure"), true)?;
    for community in [&mut plain, &mut secure] {
        community.seed("seed", &file)?;
        community.register("leech")?;
    }
    let web = Web::start(&folder.join("web"), &shared)?;

    let copy = || timed(vec![yardstick.receive(&to)?], &[&yardstick.sender], &out);
    let get = |community: &Community<'_>| {
        timed(vec![community.get("leech", &id, &to)], &community.servers(), &out)
    };
    let mut racers: Vec<Racer<'_>> = vec![
        ("tcp copy", Box::new(copy)),
        ("get --insecure", Box::new(|| get(&plain))),
        ("get", Box::new(|| get(&secure))),
    ];
    if let Some(web) = &web {
        let fetch = || timed(vec![web.fetch("file", &to)], &web.servers(), &out);
        racers.push(("curl https", Box::new(fetch)));
    }
    contest(&format!("one source, {} MiB", size / MIB), size, &racers)
}

/// Four sources of one file.
fn sources(programs: &Programs, folder: &Path) -> Outcome<()> {
    let size = sized(1024 * MIB, 4 * MIB);
    let (shared, out) = folders(folder)?;
    let file = shared.join("file");
    write_noise(&file, size)?;
    let id = b3(&file)?;
    let mut community = Community::new(programs, folder.join("community"), true)?;
    for number in 0..4 {
        community.seed(&format!("seed{number}"), &file)?;
    }
    community.register("leech")?;
    let mut webs = Vec::new();
    for number in 0..4 {
        webs.extend(Web::start(&folder.join(format!("web{number}")), &shared)?);
    }
    let to = out.join("file");
    let yardstick = TcpCopy::start(&file)?;

    let copy = || timed(vec![yardstick.receive(&to)?], &[&yardstick.sender], &out);
    let get = || timed(vec![community.get("leech", &id, &to)], &community.servers(), &out);
    let mut racers: Vec<Racer<'_>> = vec![("tcp copy", Box::new(copy)), ("get", Box::new(get))];
    if Web::fetch_from_all(&webs, "file", &to)?.is_some() {
        let fetch = || {
            let aria2 = Web::fetch_from_all(&webs, "file", &to)?;
            let servers: Vec<_> = webs.iter().flat_map(Web::servers).collect();
            timed(aria2.into_iter().collect(), &servers, &out)
        };
        racers.push(("aria2 https", Box::new(fetch)));
    }
    contest(&format!("four sources, {} MiB", size / MIB), size, &racers)
}

/// Four downloaders of one file at one source, at once.
fn downloaders(programs: &Programs, folder: &Path) -> Outcome<()> {
    let size = sized(1024 * MIB, 4 * MIB);
    let (shared, out) = folders(folder)?;
    let file = shared.join("file");
    write_noise(&file, size)?;
    let id = b3(&file)?;
    let mut community = Community::new(programs, folder.join("community"), true)?;
    community.seed("seed", &file)?;
    let users: Vec<_> = (0..4).map(|number| format!("leech{number}")).collect();
    for user in &users {
        community.register(user)?;
    }
    let web = Web::start(&folder.join("web"), &shared)?;
    let get = || {
        let gets = users.iter().map(|user| community.get(user, &id, &out.join(user)));
        timed(gets.collect(), &community.servers(), &out)
    };
    let mut racers: Vec<Racer<'_>> = vec![("get", Box::new(get))];
    if let Some(web) = &web {
        let fetch = || {
            let fetches = users.iter().map(|user| web.fetch("file", &out.join(user)));
            timed(fetches.collect(), &web.servers(), &out)
        };
        racers.push(("curl https", Box::new(fetch)));
    }
    let title = format!("one source, four downloaders at once, {} MiB in all", 4 * size / MIB);
    contest(&title, 4 * size, &racers)
}

/// Many small files.
fn small(programs: &Programs, folder: &Path) -> Outcome<()> {
    many(programs, folder, sized(2_000, 50), 64 << 10)
}

/// Very many very small files.
fn tiny(programs: &Programs, folder: &Path) -> Outcome<()> {
    many(programs, folder, sized(20_000, 100), 1 << 10)
}

fn many(programs: &Programs, folder: &Path, count: u64, size: u64) -> Outcome<()> {
    let (shared, out) = folders(folder)?;
    let mut names = Vec::new();
    for number in 0..count {
        let name = format!("{:02}/{number:05}", number % 20);
        let path = shared.join(&name);
        fs::create_dir_all(shared.join(format!("{:02}", number % 20)))?;
        write_noise(&path, size)?;
        names.push(name);
    }
    let mut community = Community::new(programs, folder.join("community"), true)?;
    community.seed("seed", &shared)?;
    community.register("leech")?;
    let web = Web::start(&folder.join("web"), &shared)?;
    // Each run has a folder of its own: a file system is slow to make files where many were just deleted.
    let run = Cell::new(0);
    let fresh = || {
        run.set(run.get() + 1);
        out.join(run.get().to_string())
    };
    let get = || race(vec![community.get("leech", "seed:/shared", &fresh())], &community.servers());
    let mut racers: Vec<Racer<'_>> = vec![("get", Box::new(get))];
    if let Some(web) = &web {
        let fetch = || race(vec![web.fetch_all(&names, &fresh())?], &web.servers());
        racers.push(("curl https", Box::new(fetch)));
    }
    contest(&format!("{count} files of {size} bytes"), count * size, &racers)
}

/// One very large file, for the memory that it takes.
fn huge(programs: &Programs, folder: &Path) -> Outcome<()> {
    let size = sized(20 * 1024 * MIB, 16 * MIB);
    let (shared, out) = folders(folder)?;
    let file = shared.join("file");
    // The rest of it is a hole, which is read and sent as any other bytes.
    write_noise(&file, MIB)?;
    File::options().write(true).open(&file)?.set_len(size)?;
    let id = b3(&file)?;
    let mut community = Community::new(programs, folder.join("community"), true)?;
    community.seed("seed", &file)?;
    community.register("leech")?;
    let used =
        timed(vec![community.get("leech", &id, &out.join("file"))], &community.servers(), &out)?;
    let (near, far) = (used.peak_memory / MIB, community.peak_of_seeds() / MIB);
    println!(
        "\n{} MiB in {:.1} s; peak memory: get {near} MiB, serve {far} MiB",
        size / MIB,
        used.wall.as_secs_f64()
    );
    Ok(())
}

/// Runs the commands at once, and empties the folder that they wrote to.
fn timed(commands: Vec<Command>, servers: &[&Server], out: &Path) -> Outcome<Used> {
    let used = race(commands, servers);
    fs::remove_dir_all(out)?;
    fs::create_dir_all(out)?;
    used
}

fn sized(full: u64, smoke: u64) -> u64 {
    if is_smoke_run() { smoke } else { full }
}

fn folders(folder: &Path) -> Outcome<(std::path::PathBuf, std::path::PathBuf)> {
    let (shared, out) = (folder.join("shared"), folder.join("out"));
    fs::create_dir_all(&shared)?;
    fs::create_dir_all(&out)?;
    Ok((shared, out))
}

/// A file that can be had by a bare TCP copy.
struct TcpCopy {
    sender: Server,
    port: String,
}

impl TcpCopy {
    fn start(file: &Path) -> Outcome<Self> {
        let sender = copy_command(&format!("send {}", file.display()))?;
        let sender = Server::start(sender, "port ")?;
        let port = sender.ready.trim_start_matches("port ").to_owned();
        Ok(Self { sender, port })
    }

    fn receive(&self, to: &Path) -> Outcome<Command> {
        copy_command(&format!("receive {} {}", self.port, to.display()))
    }
}

fn copy_command(task: &str) -> Outcome<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env(COPY, task);
    Ok(command)
}

/// Writes a file of bytes that no other file has.
fn write_noise(path: &Path, size: u64) -> Outcome<()> {
    let mut random = SmallRng::from_rng(&mut rand::rng());
    let mut file = File::create(path)?;
    let mut buffer = vec![0; MIB.min(size) as usize];
    let mut left = size;
    while left > 0 {
        let len = left.min(MIB) as usize;
        random.fill_bytes(&mut buffer[..len]);
        file.write_all(&buffer[..len])?;
        left -= len as u64;
    }
    Ok(())
}

/// The content id of a file.
fn b3(path: &Path) -> Outcome<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}
