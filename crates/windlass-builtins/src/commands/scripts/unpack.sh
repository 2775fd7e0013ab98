# $archive; $to; $strip (a number, or `single`)
unset TAR_OPTIONS EXTRACT_UNSAFE_SYMLINKS UNZIP UNZIPOPT ZIPINFO
line='
'
need() {
  command -v "$1" >/dev/null 2>&1 || fail "this host has no $1, which $archive needs"
}
# Why a program failed: the last that it said, for which a full disk has no room.
why() {
  last=$(grep -v '^ *$' "$temp/said" | tail -n 1)
  free=$(df -Pk "$temp" 2>/dev/null | awk 'NR == 2 { print $4 }')
  [ "${free:-1000}" -ge 16 ] || last="No space left on the disk${last:+: $last}"
  printf '%s\n' "$last"
}
refuse() {
  fail "refused, nothing was unpacked: $*"
}
format_of() {
  case $archive in
    *.tar) echo tar ;;
    *.tar.gz | *.tgz) echo gzip ;;
    *.tar.bz2 | *.tbz2 | *.tbz) echo bzip2 ;;
    *.tar.xz | *.txz) echo xz ;;
    *.tar.zst | *.tzst) echo zstd ;;
    *.zip | *.jar | *.war | *.ear) echo zip ;;
    *)
      case $(od -A n -t x1 -N 6 "$archive" | tr -d ' \n') in
        1f8b*) echo gzip ;;
        425a68*) echo bzip2 ;;
        fd377a585a00) echo xz ;;
        28b52ffd*) echo zstd ;;
        504b0304* | 504b0506*) echo zip ;;
        *)
          case $(dd if="$archive" bs=1 skip=257 count=5 2>/dev/null) in
            ustar) echo tar ;;
          esac
          ;;
      esac
      ;;
  esac
}
# The names in $temp/names, one a line: none may be absolute or climb.
check_names() {
  bad=$(awk '/^\// || /^[A-Za-z]:[\\\/]/ || /(^|[\/\\])\.\.([\/\\]|$)/ { print; exit }' "$temp/names") || exit 1
  [ -z "$bad" ] || refuse "the archive holds $bad, which leads outside"
}
# What `tar -tv` said, in $temp/long. tar implementations differ in what they hide, so the tree is looked at again later.
check_long() {
  bad=$(awk '
    function climbs(path) { return path ~ /^\// || path ~ /(^|\/)\.\.(\/|$)/ }
    {
      kind = substr($0, 1, 1)
      if (kind !~ /[-dlhC]/) { print "a device, a pipe or a name that cannot be shown: " $0; exit }
      name = $0
      if (!sub(/^[^ ]+ +[^ ]+ +[0-9]+ +[-0-9]+ +[0-9:.]+ /, "", name)) name = ""
      while (sub(/^\.\//, "", name)) { }
      gsub(/\/(\.?\/)+/, "/", name)
      rest = $0
      while ((at = index(rest, " -> ")) > 0) {
        rest = substr(rest, at + 4)
        target = rest
        if (kind == "l") {
          deep = name
          sub(/ -> .*/, "", deep)
          deep = gsub(/\//, "/", deep)
          while (deep-- > 0 && sub(/^\.\.(\/+|$)/, "", target)) { }
        }
        if (climbs(target)) { print "a link that leads outside: " $0; exit }
      }
    }' "$temp/long") || exit 1
  [ -z "$bad" ] || refuse "the archive holds $bad"
}
unpack_tar() {
  tar -tf - <"$tar" >"$temp/names" 2>"$temp/said" || fail "$archive: $(why)"
  [ -s "$temp/names" ] || fail "$archive: holds nothing"
  check_names
  tar -tvf - <"$tar" >"$temp/long" 2>>"$temp/said" || fail "$archive: $(why)"
  bad=$(grep 'emoving leading' "$temp/said" | head -n 1)
  [ -z "$bad" ] || refuse "the archive holds names or links that lead outside ($bad)"
  check_long
  # -o: the files belong to who unpacks them
  tar -xof - -C "$temp/new" <"$tar" 2>"$temp/said" || fail "$archive: $(why)"
}
unpack_zip() {
  if command -v unzip >/dev/null 2>&1; then
    most=0
    if unzip -Z1 "$archive" >"$temp/names" 2>/dev/null; then
      # the real one, whose status 1 is a warning
      most=1
    else
      unzip -l "$archive" >"$temp/list" 2>"$temp/said" || fail "$archive: $(why)"
      sed -n 's/^ *[0-9][0-9]*  *[-0-9]* [0-9:]*   //p' "$temp/list" >"$temp/names" || exit 1
    fi
    check_names
    unzip -q -o "$archive" -d "$temp/new" >"$temp/said" 2>&1 </dev/null
    status=$?
    [ "$status" -le "$most" ] || fail "$archive: $(why)"
    bad=$(grep 'emoving leading' "$temp/said" | head -n 1)
    [ -z "$bad" ] || refuse "the archive holds names that lead outside ($bad)"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -c 'import sys, zipfile
for entry in zipfile.ZipFile(sys.argv[1]).infolist():
    print(entry.filename)
    if entry.external_attr >> 28 not in (0, 4, 8):
        sys.exit("%r is a link or a device, and this host has no unzip" % entry.filename)
' "$archive" >"$temp/names" 2>"$temp/said" || fail "$archive: $(why)"
    check_names
    python3 -c 'import os, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for entry in archive.infolist():
    path = archive.extract(entry, sys.argv[2])
    mode = entry.external_attr >> 16 & 0o777
    if mode:
        os.chmod(path, mode | 0o200)
' "$archive" "$temp/new" 2>"$temp/said" || fail "$archive: $(why)"
  else
    fail "this host has neither unzip nor python3, one of which $archive needs"
  fi
}
# first WORD...: what find prints first in the new tree
first() {
  found=$(find . "$@" -print) || exit 1
  printf '%s\n' "$found" | head -n 1
}
check_tree() {
  bad=$(first -name '*[[:cntrl:]]*') || exit 1
  [ -z "$bad" ] || refuse "the archive holds a name with a control character: $bad"
  bad=$(first ! -type f ! -type d ! -type l) || exit 1
  [ -z "$bad" ] || refuse "the archive holds a device or a pipe: $bad"
  # every name of a file that has several must be in the tree
  find . ! -type d -links +1 -exec ls -lid {} + >"$temp/links" || exit 1
  bad=$(awk '{ has[$1]++; all[$1] = $3; name[$1] = $0 }
    END { for (i in has) if (has[i] != all[i]) { print name[i]; exit } }' "$temp/links") || exit 1
  [ -z "$bad" ] || refuse "the archive holds a hard link that leads outside: $bad"
}
# A symbolic link is relative and climbs, at its start only, not above the tree: so links of links stay inside as well.
check_links() {
  find . -type l -exec sh -c '
    for link; do
      target=$(readlink "$link") || exit 1
      dir=${link#./}
      rest=$target/
      while :; do
        case $rest in
          ../*)
            case $dir in
              */*) dir=${dir%/*} ;;
              *) rest=/ ; break ;;
            esac
            rest=${rest#../}
            ;;
          ./*) rest=${rest#./} ;;
          *) break ;;
        esac
      done
      case /$rest in
        //?* | // | */../*) printf "%s\n" "$link -> $target" ;;
      esac
    done' sh {} + >"$temp/bad" || exit 1
  bad=$(head -n 1 "$temp/bad")
  [ -z "$bad" ] || refuse "the archive holds a link that leads outside (or has .. amid its target): $bad"
}
there() {
  [ -e "$1" ] || [ -L "$1" ]
}
strip_one() {
  mkdir "$temp/stripped" || exit 1
  for top in "$temp/new"/* "$temp/new"/.[!.]* "$temp/new"/..?*; do
    if [ -L "$top" ] || [ ! -d "$top" ]; then
      continue
    fi
    for entry in "$top"/* "$top"/.[!.]* "$top"/..?*; do
      there "$entry" || continue
      if there "$temp/stripped/${entry##*/}"; then
        refuse "stripped of its first directories, the archive holds ${entry##*/} twice"
      fi
      mv "$entry" "$temp/stripped/" || exit 1
    done
  done
  rm -rf "$temp/new" || exit 1
  mv "$temp/stripped" "$temp/new" || exit 1
}
strip_tree() {
  if [ "$strip" = single ]; then
    top=$(ls -A "$temp/new") || exit 1
    case $top in
      '' | *"$line"*) return ;;
    esac
    if [ -d "$temp/new/$top" ] && [ ! -L "$temp/new/$top" ]; then
      strip_one
    fi
    return
  fi
  [ "$strip" -gt 0 ] || return 0
  while [ "$strip" -gt 0 ]; do
    strip_one
    strip=$((strip - 1))
  done
  [ -n "$(ls -A "$temp/new")" ] || refuse "nothing is left when so many directories are stripped"
}
# merge DO DIR: each entry of DIR (a path in the tree that ends in a slash, or nothing) into $to; only looks unless DO is yes
merge() {
  for entry in "$temp/new/$2"* "$temp/new/$2".[!.]* "$temp/new/$2"..?*; do
    there "$entry" || continue
    name=${entry#"$temp/new/"}
    old=$to/$name
    if [ -d "$entry" ] && [ ! -L "$entry" ]; then
      if [ -L "$old" ]; then
        refuse "$old is a symbolic link, and a directory in the archive"
      elif [ -d "$old" ]; then
        merge "$1" "$name/"
        continue
      elif [ -e "$old" ]; then
        refuse "$old is a file, and a directory in the archive"
      fi
    elif [ -d "$old" ] && [ ! -L "$old" ]; then
      refuse "$old is a directory, and a file in the archive"
    fi
    if [ "$1" = yes ]; then
      rename "$entry" "$old" || exit 1
    fi
  done
}

[ -f "$archive" ] || fail "$archive: no such file"
[ -r "$archive" ] || fail "$archive: permission denied"
if [ -d "$to" ]; then
  to=$(cd -P "$to" && pwd -P) || exit 1
  make_temp "$to"
elif absent "$to"; then
  mkdir -p "${to%/*}/" || exit 1
  make_temp "${to%/*}"
else
  fail "$to is not a directory"
fi
mkdir "$temp/new" || exit 1
tar=$temp/tar
format=$(format_of)
case $format in
  tar) tar=$archive ;;
  gzip | bzip2 | xz | zstd)
    need "$format"
    "$format" -dc <"$archive" >"$tar" 2>"$temp/said" || fail "$archive: $(why)"
    ;;
  zip) ;;
  *) fail "$archive is neither a tar (.gz, .bz2, .xz, .zst) nor a zip" ;;
esac
if [ "$format" = zip ]; then
  unpack_zip
else
  need tar
  unpack_tar
  [ "$tar" = "$archive" ] || rm -f "$tar"
fi
cd -P "$temp/new" || exit 1
find . -type d ! -perm -700 -exec chmod u+rwx {} \; || exit 1
find . -type f \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s {} + || exit 1
check_tree
cd / || exit 1
strip_tree
cd -P "$temp/new" || exit 1
check_links
cd / || exit 1
if [ -d "$to" ]; then
  merge no ''
  merge yes ''
else
  touch "$temp/new"
  rename "$temp/new" "$to" || exit 1
fi
exit 0
