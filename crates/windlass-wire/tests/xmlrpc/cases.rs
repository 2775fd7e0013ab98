//! Values in XML, ours and Python's reading compared in `python.rs`.

/// How our reading and Python's compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum As {
    /// Both read the same.
    Python,
    /// Both refuse it.
    No,
    /// Python takes it, or makes nonsense of it; here it is refused.
    Stricter,
    /// Here it is read, Python refuses.
    Looser,
}

use As::{Looser, No, Python, Stricter};

/// What stands in `<param>`.
pub(crate) const CASES: &[(As, &str)] = &[
    // integers
    (Python, "<value><int>0</int></value>"),
    (Python, "<value><int>-2147483648</int></value>"),
    (Python, "<value><i4>2147483647</i4></value>"),
    (Python, "<value><i1>127</i1></value>"),
    (Python, "<value><i1>300</i1></value>"),
    (Python, "<value><i2>-32768</i2></value>"),
    (Python, "<value><i8>9223372036854775807</i8></value>"),
    (Python, "<value><i8>9223372036854775808</i8></value>"),
    (Python, "<value><ex:i8>-1</ex:i8></value>"),
    (
        Python,
        "<value><biginteger>-987654321987654321987654321</biginteger></value>",
    ),
    (Python, "<value><biginteger>5</biginteger></value>"),
    (Python, "<value><int> +05\n</int></value>"),
    (Python, "<value><int>1_000</int></value>"),
    (No, "<value><int></int></value>"),
    (No, "<value><int/></value>"),
    (No, "<value><int>1.0</int></value>"),
    (No, "<value><int>0x10</int></value>"),
    (No, "<value><int>1 0</int></value>"),
    (No, "<value><int>one</int></value>"),
    // booleans
    (Python, "<value><boolean>0</boolean></value>"),
    (Python, "<value><boolean>1</boolean></value>"),
    (No, "<value><boolean>true</boolean></value>"),
    (No, "<value><boolean>2</boolean></value>"),
    (No, "<value><boolean> 1</boolean></value>"),
    (No, "<value><boolean/></value>"),
    // doubles and decimals
    (Python, "<value><double>-12.5</double></value>"),
    (Python, "<value><double>1e-310</double></value>"),
    (Python, "<value><double> 7 </double></value>"),
    (Python, "<value><double>.5</double></value>"),
    (Python, "<value><double>1e999</double></value>"),
    (Python, "<value><double>-0.0</double></value>"),
    (Python, "<value><double>NaN</double></value>"),
    (Python, "<value><double>-Infinity</double></value>"),
    (Python, "<value><ex:float>0.1</ex:float></value>"),
    (Python, "<value><float>inf</float></value>"),
    (No, "<value><double>1,5</double></value>"),
    (No, "<value><double></double></value>"),
    (
        Python,
        "<value><bigdecimal>9876543210.0123456789</bigdecimal></value>",
    ),
    (
        Python,
        "<value><ex:bigdecimal>-0.10</ex:bigdecimal></value>",
    ),
    (No, "<value><bigdecimal>x</bigdecimal></value>"),
    // strings
    (Python, "<value>plain</value>"),
    (Python, "<value></value>"),
    (Python, "<value/>"),
    (Python, "<value>  \n kept \t</value>"),
    (Python, "<value> </value>"),
    (Python, "<value><string/></value>"),
    (Python, "<value><string>  a\r\nb\rc\n </string></value>"),
    (Python, "<value>a&#13;b&#x41;</value>"),
    (
        Python,
        "<value><string>&lt;&gt;&amp;&apos;&quot;</string></value>",
    ),
    (
        Python,
        "<value><string><![CDATA[<b>&amp;\r\n]]></string></value>",
    ),
    (Python, "<value><string>a<![CDATA[ ]]>b</string></value>"),
    (Python, "<value>a<!-- not -->b<?pi not?>c</value>"),
    (Python, "<value><string>é€😀\u{85}\u{2028}</string></value>"),
    (Python, "<value>\n <string>a</string>\n</value>"),
    (
        Python,
        "<value a='1' b=\"&lt;&#10;\"><string c=''>a</string></value>",
    ),
    (Python, "<ex:value><ex:string>a</ex:string></ex:value>"),
    (Python, "<value ><string >a</string ></value >"),
    (No, "<value><string>&nbsp;</string></value>"),
    (No, "<value><string>\u{1}</string></value>"),
    (No, "<value><string>&#0;</string></value>"),
    (No, "<value><string>&#8;</string></value>"),
    // nil
    (Python, "<value><nil/></value>"),
    (Python, "<value><nil></nil></value>"),
    (Python, "<value><ex:nil/></value>"),
    (Stricter, "<value><nil>0</nil></value>"),
    // dates
    (
        Python,
        "<value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value>",
    ),
    (
        Python,
        "<value><dateTime.iso8601> 1998-07-17T14:08:55Z\n</dateTime.iso8601></value>",
    ),
    (
        Python,
        "<value><ex:dateTime.iso8601>1998-07-17T14:08:55.25+02:00</ex:dateTime.iso8601></value>",
    ),
    (
        Python,
        "<value><dateTime.iso8601>00010210T11:41:23</dateTime.iso8601></value>",
    ),
    (
        Stricter,
        "<value><dateTime.iso8601>yesterday</dateTime.iso8601></value>",
    ),
    (Stricter, "<value><dateTime.iso8601/></value>"),
    // base64
    (Python, "<value><base64>AP8=</base64></value>"),
    (Python, "<value><base64>\n  A P\r\n8 =\t</base64></value>"),
    (Python, "<value><base64/></value>"),
    (Python, "<value><base64>AP9=</base64></value>"),
    (No, "<value><base64>AP8</base64></value>"),
    (No, "<value><base64>é</base64></value>"),
    (Stricter, "<value><base64>A-P8=</base64></value>"),
    (Stricter, "<value><base64>AP8=AP8=</base64></value>"),
    // arrays
    (Python, "<value><array><data/></array></value>"),
    (Python, "<value><array/></value>"),
    (
        Python,
        "<value><array><data><value>a</value><value><array><data><value/></data></array></value></data></array></value>",
    ),
    (
        Python,
        "<value>\n<array>\n<data>\n<value>\n<int>1</int>\n</value>\n</data>\n</array>\n</value>",
    ),
    (
        Python,
        "<value><array><value>a</value><value>b</value></array></value>",
    ),
    (Stricter, "<value><array>text<data/></array></value>"),
    (
        Stricter,
        "<value><array><data><int>1</int></data></array></value>",
    ),
    // structs
    (Python, "<value><struct/></value>"),
    (Python, "<value><struct></struct></value>"),
    (
        Python,
        "<value><struct><member><name>a</name><value>1</value></member></struct></value>",
    ),
    (
        Python,
        "<value><struct><member><name></name><value>1</value></member></struct></value>",
    ),
    (
        Python,
        "<value><struct><member><name/><value/></member></struct></value>",
    ),
    (
        Python,
        "<value><struct><member><name> a\n</name><value/></member></struct></value>",
    ),
    (
        Python,
        "<value><struct><member><name>&lt;é</name><value/></member></struct></value>",
    ),
    (
        Python,
        "<value><struct><member><name>a</name><value>1</value></member><member><name>b</name><value>2</value></member>\
         <member><name>a</name><value>3</value></member></struct></value>",
    ),
    // Python takes the value for the name
    (
        Stricter,
        "<value><struct><member><value>1</value></member></struct></value>",
    ),
    (
        Stricter,
        "<value><struct><member><name>a</name></member></struct></value>",
    ),
    // Python swaps the two
    (
        Looser,
        "<value><struct><member><value><array/></value><name>a</name></member></struct></value>",
    ),
    // what is no value
    (Stricter, "<value>text<int>1</int></value>"),
    (Stricter, "<value><int>1</int>text</value>"),
    (Stricter, "<value><int>1</int><int>2</int></value>"),
    (No, "<value><integer>1</integer></value>"),
    (No, "<value><b>1</b></value>"),
    (Stricter, "<value><value>1</value></value>"),
    (Stricter, "<int>1</int>"),
    (No, "<value>"),
    (No, "<value></param>"),
    (No, "<value><int>1</string></value>"),
];
