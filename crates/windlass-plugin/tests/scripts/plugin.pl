# A plugin of many talents, good and bad. Its "command" says what it does in a call.
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical;
$| = 1;
my %held;
my $asked = 0;

sub say_json { print $json->encode({ jsonrpc => '2.0', @_ }), "\n" }

sub ask {
    my ($call, $method, %params) = @_;
    my $id = 'p' . ++$asked;
    say_json(id => $id, method => $method, params => { call => $call, %params });
    return $id;
}

my %waiting;    # id of a callback -> [call, how many more to ask]

while (my $line = <STDIN>) {
    my $m = $json->decode($line);
    if (!defined $m->{method}) {
        my ($call, $more) = @{ delete $waiting{ $m->{id} } };
        if ($more) {
            $waiting{ ask($call, 'number', n => $more) } = [ $call, $more - 1 ];
        }
        else {
            say_json(id => $call, result => $m->{error} // $m->{result});
        }
        next;
    }
    my ($id, $p) = ($m->{id}, $m->{params});
    if ($m->{method} eq 'describe') {
        say_json(id => $id, result => { protocol => 0 + ($ENV{SPEAKS} // 1), commands => [ { name => 'all' } ] });
        next;
    }
    my $do = $p->{do} // '';
    if ($do eq 'echo') { say_json(id => $id, result => $p->{value}) }
    elsif ($do eq 'error') {
        say_json(id => $id, error => { code => -32000, message => 'will not', data => { traceback => 'here' } });
    }
    elsif ($do eq 'hold') { $held{ $p->{value} } = $id }
    elsif ($do eq 'release') {
        say_json(id => delete $held{$_}, result => $_) for sort { $b cmp $a } keys %held;
        say_json(id => $id, result => JSON::PP::true);
    }
    elsif ($do eq 'ask') { $waiting{ ask($id, 'number', n => $p->{times}) } = [ $id, $p->{times} - 1 ] }
    elsif ($do eq 'log') {
        for my $n (1 .. $p->{times}) {
            say_json(method => 'log', params => { call => $id, level => 'warning', component => 'Me', message => "line $n" });
        }
        say_json(id => $id, result => JSON::PP::true);
    }
    elsif ($do eq 'environment') { say_json(id => $id, result => {%ENV}) }
    elsif ($do eq 'directory') { chomp(my $d = `pwd`); say_json(id => $id, result => $d) }
    elsif ($do eq 'rubbish')   { print "hello \e[31mthere\n" }
    elsif ($do eq 'stray')     { say_json(id => 999, result => 1) }
    elsif ($do eq 'silence')   { sleep 1 while 1 }
    elsif ($do eq 'die')       { print STDERR "first words\nlast words\n"; exit 3 }
    elsif ($do eq 'signal')    { kill 'KILL', $$; sleep 9 }
    elsif ($do eq 'memory')    { my @all; push @all, 'x' x (1 << 20) while 1 }
    elsif ($do eq 'flood')     { print 'x' x 65536 while 1 }
    elsif ($do eq 'stderr')    { print STDERR 'y' x 65536, "\n" while 1 }
    elsif ($do eq 'close stdout') { close STDOUT; sleep 60 }
    elsif ($do eq 'answer and die') { say_json(id => $id, result => 'last'); exit 0 }
    elsif ($do eq 'ask and die') { ask($id, 'number', n => 1); select(undef, undef, undef, 0.3); exit 4 }
    elsif ($do eq 'child') {
        my $child = fork;
        if (!$child) { $SIG{TERM} = 'IGNORE'; sleep 1 while 1 }
        say_json(id => $id, result => $child);
    }
    elsif ($do eq 'child and die') {
        my $child = fork;
        if (!$child) { sleep 1 while 1 }
        print STDERR "child $child\n";
        exit 5;
    }
    elsif ($do eq 'stubborn') {
        $SIG{TERM} = 'IGNORE';
        say_json(id => $id, result => $$);
        sleep 1 while 1;
    }
    elsif ($do eq 'pid') { say_json(id => $id, result => $$) }
    else { say_json(id => $id, error => { code => -32601, message => "no '$do'" }) }
}
