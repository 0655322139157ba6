//! Finds the class that has `main` among compiled Java classes.
//!
//! Compilers know which classes have one and say so in the class files, so these are asked instead
//! of the source (JVM specification, chapter 4). The bytes are a compiler's output made from
//! untrusted input: every read is checked, and a file that is not understood is passed over.

const MAGIC: u32 = 0xCAFE_BABE;
const PUBLIC: u16 = 0x0001;
const STATIC: u16 = 0x0008;

/// A class that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Startable {
    /// With dots, as the `java` command takes it.
    name: String,
    public: bool,
    /// The name of its source file, without directories.
    source_file: Option<String>,
    /// The line of `main`.
    line: u16,
}

/// The name of the class to start among `files` (path and content). `entry` is the path of the
/// file that the caller would start; with several classes to choose from, one of that file goes
/// first, then the one named like it, a top-level one, a public one, the first in the file.
pub(super) fn main_class<'a>(
    files: impl Iterator<Item = (&'a str, &'a [u8])>,
    entry: Option<&str>,
) -> Option<String> {
    let file = entry.map(|path| path.rsplit('/').next().unwrap_or(path));
    let stem = entry.map(super::template::stem);
    files
        .filter(|(path, _)| has_class_extension(path))
        .filter_map(|(_, content)| startable(content))
        .min_by_key(|class| {
            let simple = class.name.rsplit('.').next().unwrap_or(&class.name);
            (
                class.source_file.as_deref() != file,
                Some(simple) != stem.as_deref(),
                simple.contains('$'),
                !class.public,
                class.line,
                class.name.clone(),
            )
        })
        .map(|class| class.name)
}

fn has_class_extension(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "class")
}

/// What of a constant pool entry matters here.
#[derive(Clone, Copy)]
enum Constant<'a> {
    Utf8(&'a [u8]),
    Class(u16),
    Other,
}

struct Pool<'a>(Vec<Constant<'a>>);

impl<'a> Pool<'a> {
    fn utf8(&self, index: u16) -> Option<&'a [u8]> {
        match self.0.get(usize::from(index))? {
            Constant::Utf8(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn text(&self, index: u16) -> Option<String> {
        // Class files use a modified UTF-8 that differs outside the basic plane only.
        self.utf8(index)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn class_name(&self, index: u16) -> Option<String> {
        match self.0.get(usize::from(index))? {
            Constant::Class(name) => self.text(*name),
            _ => None,
        }
    }
}

/// A cursor that answers `None` past the end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u1(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u2(&mut self) -> Option<u16> {
        self.take(2)
            .and_then(|b| b.try_into().ok())
            .map(u16::from_be_bytes)
    }

    fn u4(&mut self) -> Option<u32> {
        self.take(4)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_be_bytes)
    }

    /// An attribute: the index of its name, and its content.
    fn attribute(&mut self) -> Option<(u16, Bytes<'a>)> {
        let name = self.u2()?;
        let len = usize::try_from(self.u4()?).ok()?;
        Some((name, Bytes(self.take(len)?)))
    }

    fn pool(&mut self) -> Option<Pool<'a>> {
        let count = usize::from(self.u2()?);
        let mut constants = vec![Constant::Other];
        while constants.len() < count {
            let tag = self.u1()?;
            let (constant, slots) = match tag {
                1 => {
                    let len = usize::from(self.u2()?);
                    (Constant::Utf8(self.take(len)?), 1)
                }
                7 => (Constant::Class(self.u2()?), 1),
                // Long and Double take up two slots (section 4.4.5).
                5 | 6 => (self.skip(8)?, 2),
                8 | 16 | 19 | 20 => (self.skip(2)?, 1),
                15 => (self.skip(3)?, 1),
                3 | 4 | 9..=12 | 17 | 18 => (self.skip(4)?, 1),
                _ => return None,
            };
            constants.push(constant);
            if slots == 2 {
                constants.push(Constant::Other);
            }
        }
        Some(Pool(constants))
    }

    fn skip(&mut self, len: usize) -> Option<Constant<'a>> {
        self.take(len).map(|_| Constant::Other)
    }

    /// Passes over a field or method; its attributes go to `attribute`.
    fn member(&mut self, mut attribute: impl FnMut(u16, Bytes<'a>)) -> Option<(u16, u16, u16)> {
        let head = (self.u2()?, self.u2()?, self.u2()?);
        for _ in 0..self.u2()? {
            let (name, content) = self.attribute()?;
            attribute(name, content);
        }
        Some(head)
    }
}

/// The class in `content`, if it is one with a `public static void main(String[])`.
fn startable(content: &[u8]) -> Option<Startable> {
    let mut bytes = Bytes(content);
    if bytes.u4()? != MAGIC {
        return None;
    }
    bytes.take(4)?; // minor and major version
    let pool = bytes.pool()?;
    let flags = bytes.u2()?;
    let name = pool.class_name(bytes.u2()?)?;
    bytes.u2()?; // super class
    for _ in 0..bytes.u2()? {
        bytes.u2()?; // interface
    }
    for _ in 0..bytes.u2()? {
        bytes.member(|_, _| ())?;
    }
    let mut main_line = None;
    for _ in 0..bytes.u2()? {
        let mut line = None;
        let (flags, name, descriptor) = bytes.member(|attribute, content| {
            line = line.or_else(|| first_line(&pool, attribute, content));
        })?;
        let is_main = flags & (PUBLIC | STATIC) == PUBLIC | STATIC
            && pool.utf8(name) == Some(b"main")
            && pool.utf8(descriptor) == Some(b"([Ljava/lang/String;)V");
        if is_main {
            main_line = Some(line.unwrap_or(u16::MAX));
        }
    }
    let line = main_line?;
    let mut source_file = None;
    for _ in 0..bytes.u2()? {
        let (attribute, mut content) = bytes.attribute()?;
        if pool.utf8(attribute) == Some(b"SourceFile") {
            source_file = content.u2().and_then(|index| pool.text(index));
        }
    }
    let public = flags & PUBLIC != 0;
    Some(Startable {
        name: name.replace('/', "."),
        public,
        source_file,
        line,
    })
}

/// The first line number in a method's `Code` attribute (sections 4.7.3 and 4.7.12).
fn first_line(pool: &Pool, attribute: u16, mut code: Bytes) -> Option<u16> {
    if pool.utf8(attribute) != Some(b"Code") {
        return None;
    }
    code.take(4)?; // max_stack, max_locals
    let len = code.u4()?;
    code.take(usize::try_from(len).ok()?)?;
    let handlers = usize::from(code.u2()?);
    code.take(handlers * 8)?;
    for _ in 0..code.u2()? {
        let (name, mut table) = code.attribute()?;
        if pool.utf8(name) == Some(b"LineNumberTable") && table.u2()? > 0 {
            table.u2()?; // start_pc
            return table.u2();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A class file with a `main` of the given flags and descriptor.
    fn class(name: &str, flags: u16, method_flags: u16, descriptor: &str, line: u16) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC.to_be_bytes());
        out.extend([0, 0, 0, 61]);
        let strings = [
            name,
            "main",
            descriptor,
            "Code",
            "LineNumberTable",
            "SourceFile",
            "Main.java",
        ];
        out.extend(12_u16.to_be_bytes());
        for text in strings {
            out.push(1);
            out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            out.extend(text.as_bytes());
        }
        out.extend([5, 0, 0, 0, 0, 0, 0, 0, 1]); // 8 and 9: a Long
        out.extend([7, 0, 1]); // 10: the class
        out.extend([18, 0, 0, 0, 0]); // 11: an InvokeDynamic
        for word in [flags, 10, 0, 0, 0, 1, method_flags, 2, 3, 1, 4] {
            out.extend(word.to_be_bytes());
        }
        let mut code = vec![
            0, 1, 0, 1, 0, 0, 0, 1, 0xb1, 0, 0, 0, 1, 0, 5, 0, 0, 0, 6, 0, 1, 0, 0,
        ];
        code.extend(line.to_be_bytes());
        out.extend(u32::try_from(code.len()).unwrap().to_be_bytes());
        out.extend(code);
        out.extend([0, 1, 0, 6, 0, 0, 0, 2, 0, 7]);
        out
    }

    const MAIN: &str = "([Ljava/lang/String;)V";

    fn choose(classes: &[(&str, Vec<u8>)], entry: Option<&str>) -> Option<String> {
        main_class(
            classes
                .iter()
                .map(|(path, content)| (*path, content.as_slice())),
            entry,
        )
    }

    #[test]
    fn reads_a_class() {
        let found = startable(&class("a/b/Solve", PUBLIC, PUBLIC | STATIC, MAIN, 7)).unwrap();
        let source_file = Some("Main.java".to_owned());
        assert_eq!(
            found,
            Startable {
                name: "a.b.Solve".to_owned(),
                public: true,
                source_file,
                line: 7
            }
        );
    }

    #[test]
    fn other_methods_called_main_do_not_start() {
        assert_eq!(startable(&class("A", PUBLIC, PUBLIC, MAIN, 1)), None);
        assert_eq!(startable(&class("A", PUBLIC, STATIC, MAIN, 1)), None);
        assert_eq!(
            startable(&class("A", PUBLIC, PUBLIC | STATIC, "()V", 1)),
            None
        );
    }

    #[test]
    fn chooses_as_judges_do() {
        let with = |name: &str, flags, line| class(name, flags, PUBLIC | STATIC, MAIN, line);
        let helper = ("A.class", with("A", 0, 1));
        let public = ("Z.class", with("Z", PUBLIC, 9));
        let main = ("Main.class", with("Main", 0, 20));
        let nested = ("B$C.class", with("B$C", PUBLIC, 2));
        let all = [helper.clone(), public.clone(), main, nested.clone()];
        assert_eq!(choose(&all, Some("src/Main.java")).as_deref(), Some("Main"));
        assert_eq!(choose(&all[..2], Some("Main.java")).as_deref(), Some("Z"));
        assert_eq!(
            choose(&[helper.clone(), nested], None).as_deref(),
            Some("A")
        );
        let first = ("Y.class", with("Y", 0, 0));
        assert_eq!(
            choose(&[helper, first], Some("Main.java")).as_deref(),
            Some("Y")
        );
        assert_eq!(choose(&[("Z.txt", public.1)], None), None);
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = class("A", PUBLIC, PUBLIC | STATIC, MAIN, 1);
        assert!((0..whole.len()).all(|len| startable(&whole[..len]).is_none()));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = startable(&bytes);
            let mut with_magic = MAGIC.to_be_bytes().to_vec();
            with_magic.extend(&bytes);
            let _ = startable(&with_magic);
        }

        #[test]
        fn damaged_classes_never_panic(
            at in 0_usize..200, value: u8, flags: u16, line: u16,
        ) {
            let mut bytes = class("a/Main", flags, PUBLIC | STATIC, MAIN, line);
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = startable(&bytes);
        }
    }
}
