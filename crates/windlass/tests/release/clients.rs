//! The seed's session by clients in other languages.

use std::process::Command;

use crate::service::Form;
use crate::world::{World, page, text};

const RUBY: &str = r#"
require "xmlrpc/client"
relman = XMLRPC::Client.new2("http://localhost:10000")
credentials = {"username" => "relman_test", "password" => "relman_test"}
request_data = {"project" => "template", "trunk" => true, "action" => "install", "env" => "test"}
trans_id = relman.call("request_action", credentials, request_data)
seen = []
until seen.last =~ /INSTALL_COMPLETED|FAILED|REJECTED|UNKNOWN/
  status = relman.call("query_transaction", trans_id)
  seen << status unless seen.include?(status)
end
puts seen.join(" ")
history = relman.call("transaction_history", credentials, {"transaction" => trans_id})
puts history.first["what"], history.last["detail"]
begin
  relman.call("request_action", credentials, {"project" => 3})
rescue XMLRPC::FaultException => fault
  puts fault.faultCode, fault.faultString
end
"#;

const PERL: &str = r#"
use strict;
use RPC::XML;
use RPC::XML::Client;
my $relman = RPC::XML::Client->new("http://localhost:10000");
my $credentials = {username => "relman_test", password => "relman_test"};
my $request_data = {project => "template", trunk => RPC::XML::boolean->new(1), action => "install", env => "test"};
my $trans_id = $relman->simple_request("request_action", $credentials, $request_data) // die $RPC::XML::ERROR;
my @seen;
until (@seen && $seen[-1] =~ /INSTALL_COMPLETED|FAILED|REJECTED|UNKNOWN/) {
    my $status = $relman->simple_request("query_transaction", RPC::XML::string->new($trans_id)) // die $RPC::XML::ERROR;
    push @seen, $status unless grep { $_ eq $status } @seen;
}
print "@seen\n";
my $history = $relman->simple_request("transaction_history", $credentials, {transaction => RPC::XML::string->new($trans_id)});
print "$history->[0]{what}\n$history->[-1]{detail}\n";
my $fault = $relman->send_request("request_action", $credentials, {project => 3});
print $fault->code, "\n", $fault->string, "\n";
"#;

const SAID: &str = "STARTED BUILD_COMPLETED INSTALL_COMPLETED
requested
INSTALL_COMPLETED
-32602
request_data.project: a string is wanted, not a number
";

fn session(program: &str, script: &str) {
    let world = World::new(Form::Yaml);
    let (_manager, _builder, installers) = world.all(1);
    let script = script.replace("10000", &world.port.to_string());
    let ran = Command::new(program).args(["-e", &script]).output();
    assert_eq!(text(&ran.unwrap()), SAID);
    assert!(page(&installers[0]).contains('<'));
}

#[test]
fn ruby() {
    session("ruby", RUBY);
}

#[test]
fn perl() {
    session("perl", PERL);
}
